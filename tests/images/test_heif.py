"""HEIC photos: read where pillow-heif is installed, counted where it is not."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from resnext import check_data
from resnext.errors import ImageError
from resnext.images.decode import read_image

pytestmark = pytest.mark.once


def heic(path: Path, orientation: int | None = None, shade: int = 0) -> Path:
    """A HEIC photo: 60 x 40 pixels, red on the left."""
    from pillow_heif import from_pillow

    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, :30] = (250, 0, 0)
    pixels[30:, 50:] = (0, 0, shade)  # so that no two are copies
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    path.parent.mkdir(parents=True, exist_ok=True)
    from_pillow(Image.fromarray(pixels)).save(path, quality=95, exif=exif.tobytes())
    return path


def test_heic_photos_are_read(tmp_path):
    for name in ("cat", "dog"):
        for i in range(3):
            heic(tmp_path / name / f"{i}.{'HEIC' if i else 'heif'}", shade=10 * i + 5 * (name == "dog"))
    report = check_data(tmp_path)
    assert report.parts[0].formats == {"HEIF": 4}
    assert report.left_out == ()
    pixels = read_image(tmp_path / "cat" / "1.HEIC").astype(int)
    assert pixels.shape == (40, 60, 3)
    assert abs(pixels[:, :28] - (250, 0, 0)).max() < 12
    assert pixels[:28, 32:].max() < 12
    with open(tmp_path / "cat" / "1.HEIC", "rb") as stream:
        np.testing.assert_array_equal(read_image(stream), pixels)
    cut = tmp_path / "cat" / "cut.heic"
    cut.write_bytes((tmp_path / "cat" / "1.HEIC").read_bytes()[:200])
    with pytest.raises(ImageError, match=r"cut\.heic: "):
        read_image(cut)


def test_heic_photos_are_counted_where_they_cannot_be_read(tmp_path):
    for name in ("cat", "dog"):
        heic(tmp_path / name / "0.heic")
        for i in range(2):
            Image.new("RGB", (8, 8), (i, 0, 0)).save(tmp_path / name / f"{i}.png")
    code = f"""
import sys
sys.modules["pillow_heif"] = None
from resnext import check_data
from resnext.errors import ImageError
from resnext.images.decode import read_image
print(check_data({str(tmp_path)!r}).left_out)
try:
    read_image({str(tmp_path / "cat" / "0.heic")!r})
except ImageError as error:
    print(error)
"""
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "left out: 2 .heic (pip install 'resnext[heic]' to read HEIC)" in process.stdout
    assert "or PPM image (pip install 'resnext[heic]' to read HEIC)" in process.stdout
