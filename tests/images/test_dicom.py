"""DICOM files, as pydicom writes them."""

import contextlib

import numpy as np
import pytest
from PIL import Image

from resnext.errors import ImageError
from resnext.images.decode import read_image, read_size
from support.photos import load_splits

pydicom = pytest.importorskip("pydicom")
pytestmark = pytest.mark.once

from pydicom.dataset import Dataset, FileMetaDataset  # noqa: E402
from pydicom.uid import JPEGBaseline8Bit  # noqa: E402

EXPLICIT = "1.2.840.10008.1.2.1"


def write(path, pixels, kind="MONOCHROME2", syntax=EXPLICIT, **elements):
    """A file with pixels, uint8, int16 or uint16, (frames,) rows, columns (and colours)."""
    file = Dataset()
    file.file_meta = FileMetaDataset()
    file.file_meta.TransferSyntaxUID = syntax
    file.file_meta.MediaStorageSOPClassUID, file.file_meta.MediaStorageSOPInstanceUID = (
        "1.2.840.10008.5.1.4.1.1.7",
        "1.2.3",
    )
    file.SOPClassUID, file.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3"
    is_colour = kind in ("RGB", "YBR_FULL")
    shape = pixels.shape[-3:-1] if is_colour else pixels.shape[-2:]
    file.Rows, file.Columns = shape
    file.SamplesPerPixel, file.PhotometricInterpretation = (3 if is_colour else 1), kind
    file.BitsAllocated = file.BitsStored = 8 * pixels.itemsize
    file.HighBit, file.PixelRepresentation = file.BitsStored - 1, int(pixels.dtype.kind == "i")
    if is_colour:
        file.PlanarConfiguration = 0
    file.PixelData = pixels.tobytes()
    for name, value in elements.items():
        setattr(file, name, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    file.save_as(path, enforce_file_format=True)
    return path


RAMP = np.arange(0, 1000, 100, dtype=np.int16).reshape(2, 5)


def test_grey_values_are_mapped_by_the_window(tmp_path):
    """Rescaled by 2 and -400: -400 to 1400; the window 200 around 500 is black below 400.5 and white above 599.5."""
    file = write(tmp_path / "a.dcm", RAMP, RescaleSlope=2, RescaleIntercept=-400, WindowCenter=500, WindowWidth=200)
    values = 2.0 * RAMP - 400
    wanted = np.rint(255 * np.clip((values - 499.5) / 199 + 0.5, 0, 1)).astype(np.uint8)
    image = read_image(file)
    assert image.shape == (2, 5, 3)
    np.testing.assert_array_equal(image, np.stack([wanted] * 3, -1))
    assert read_size(file) == (5, 2)
    several = write(
        tmp_path / "b.dcm", RAMP, WindowCenter=[900, 1], WindowWidth=[100, 2], VOILUTFunction="LINEAR_EXACT"
    )
    assert read_image(several)[..., 0].ravel().tolist()[-2:] == [0, 128]


def test_without_a_window_the_image_is_stretched_and_monochrome1_inverted(tmp_path):
    plain, inverted = (
        read_image(write(tmp_path / f"{kind}.dcm", RAMP, kind))[..., 0] for kind in ("MONOCHROME2", "MONOCHROME1")
    )
    np.testing.assert_array_equal(plain, np.rint(255.0 * RAMP / 900).astype(np.uint8))
    np.testing.assert_array_equal(plain, 255 - inverted)


def test_a_table_of_interest_is_applied(tmp_path):
    table = Dataset()
    table.LUTDescriptor = [10, 0, 8]
    table.LUTData = np.arange(0, 250, 25, dtype="<u2").tobytes()
    pixels = np.arange(10, dtype=np.uint8).reshape(2, 5)
    file = write(tmp_path / "a.dcm", pixels, VOILUTSequence=[table])
    assert read_image(file)[..., 0].ravel().tolist() == [*range(0, 250, 25)]


def test_colours_frames_and_jpeg(tmp_path):
    colours = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    np.testing.assert_array_equal(read_image(write(tmp_path / "a.dcm", colours, "RGB")), colours)
    frames = np.stack([RAMP, 2 * RAMP])
    first = read_image(write(tmp_path / "b.dcm", frames, NumberOfFrames=2))
    np.testing.assert_array_equal(first, read_image(write(tmp_path / "c.dcm", RAMP)))
    Image.fromarray(np.full((8, 8), 77, np.uint8)).save(tmp_path / "grey.jpg", quality=100)
    jpeg = pydicom.encaps.encapsulate([(tmp_path / "grey.jpg").read_bytes()])
    elements = {"syntax": JPEGBaseline8Bit, "PixelData": jpeg, "WindowCenter": 128, "WindowWidth": 256}
    file = write(tmp_path / "d.dcm", np.zeros((8, 8), np.uint8), **elements)
    assert abs(int(read_image(file)[0, 0, 0]) - 77) <= 1


def test_a_folder_of_dicom_files_is_data(tmp_path):
    for name in ("healthy", "ill"):
        for i in range(3):
            write(tmp_path / "data" / name / f"{i}.dcm", RAMP + i)
    splits = load_splits(tmp_path / "data")
    assert len(splits.train) + len(splits.test) == 6


@pytest.mark.parametrize(
    ("elements", "reason"),
    [
        (
            {"syntax": "1.2.840.10008.1.2.1.99"},
            "compressed by Deflated Explicit VR Little Endian; save it uncompressed",
        ),
        (
            {"syntax": "1.2.840.10008.1.2.4.80"},
            "compressed by JPEG-LS Lossless Image Compression; save it uncompressed",
        ),
        ({"kind": "PALETTE COLOR"}, "its pixels are PALETTE COLOR; allowed are MONOCHROME1, MONOCHROME2, RGB"),
        ({"BitsAllocated": 32}, "has 32 bits for each value; allowed are 8 and 16"),
        ({"Rows": 60000, "Columns": 60000}, "more than 64,000,000 pixels"),
        ({"Rows": 4}, "a.dcm: "),  # fewer pixels than it says
    ],
)
def test_others_are_refused_with_the_reason(tmp_path, elements, reason):
    kind, syntax = elements.pop("kind", "MONOCHROME2"), elements.pop("syntax", EXPLICIT)
    file = write(tmp_path / "a.dcm", RAMP, kind, **elements)
    if syntax != EXPLICIT:
        content = file.read_bytes()
        place = content.index(EXPLICIT.encode())
        length = len(syntax) + len(syntax) % 2
        group = int.from_bytes(content[140:144], "little") + length - 20
        start = content[:140] + group.to_bytes(4, "little") + content[144 : place - 2] + length.to_bytes(2, "little")
        file.write_bytes(start + syntax.encode().ljust(length, b"\0") + content[place + 20 :])
    with pytest.raises(ImageError, match=reason):
        read_image(file)


def test_damaged_files_raise_image_errors(tmp_path):
    content = write(tmp_path / "a.dcm", RAMP).read_bytes()
    rng = np.random.default_rng(0)
    for number in range(60):
        damaged = bytearray(content[: int(rng.integers(132, len(content)))] if number % 2 else content)
        for place in rng.integers(132, len(damaged), 3) if len(damaged) > 132 else ():
            damaged[place] = int(rng.integers(256))
        (tmp_path / "b.dcm").write_bytes(damaged)
        with contextlib.suppress(ImageError):  # nothing else may be raised
            assert read_image(tmp_path / "b.dcm").dtype == np.uint8
