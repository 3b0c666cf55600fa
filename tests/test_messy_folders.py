"""Folders as people have them, from phones, cameras, NAS, competitions: nothing is lost or mislabelled in silence."""

import io
import shutil
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import COLOURS, load_splits, refusal, resnext, write_photos
from PIL import Image, ImageCms

from resnext import check_data
from resnext.data.source import open_data
from resnext.errors import DataError, ImageError
from resnext.images.colour_profiles import to_srgb
from resnext.images.decode import read_image
from resnext.images.preprocessing import Preprocessing

pytestmark = pytest.mark.once


def photo(size=(40, 30), seed=0) -> Image.Image:
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return Image.fromarray(small).resize(size)


def counted(data) -> int:
    splits = load_splits(data)
    return len(splits.train) + len(splits.test)


# Files


@pytest.mark.parametrize(
    ("name", "form"),
    [("a.jfif", "JPEG"), ("a.jpe", "JPEG"), ("a.TIF", "TIFF"), ("a.tiff", "TIFF"), ("a.avif", "AVIF"), ("a.pgm", "PPM"),
     ("a.ppm", "PPM"), ("a.dib", "BMP")],
)  # fmt: skip
def test_every_common_suffix_is_read(name, form, tmp_path):
    image = photo().convert("L") if name.endswith("pgm") else photo()
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        for i in range(2):
            image.save(tmp_path / folder / f"{i}{name}", format=form)
    assert counted(tmp_path) == 4
    read = read_image(tmp_path / "a" / f"0{name}")
    assert np.abs(read.astype(int) - np.asarray(image.convert("RGB"), int)).mean() < 12


def test_whatever_is_left_out_is_counted_by_kind(tmp_path):
    data = write_photos(tmp_path / "data", COLOURS, 4)
    for name in ("x.cr3", "y.cr3", "notes.txt", "RAW"):
        (data / "red" / name).write_text("?")
    (data / "red" / "deeper").mkdir()
    (data / "red" / "deeper" / "z.cr2").write_text("?")
    words = "left out: 2 .cr3, 1 .txt, 1 without a suffix, 1 .cr2"
    assert sorted(open_data(data).left_out()[0].split(", ")) == sorted(words.split(", "))
    shutil.make_archive(str(tmp_path / "data"), "tar", tmp_path, "data")
    assert open_data(tmp_path / "data.tar").left_out()[0].startswith("left out: 2 .cr3, ")
    assert "left out: 2 .cr3, " in resnext("check-data", data).stdout
    process = resnext("train", data, "--variant", "resnet8", "--recipe", "smoke", "--image-size", 16, "--out",
                      tmp_path / "run")  # fmt: skip
    assert "resnext: left out: 2 .cr3, " in process.stderr


def heic(path: Path, orientation: int | None = None) -> Path:
    """A HEIC photo: 60 x 40 pixels, red on the left."""
    from pillow_heif import from_pillow

    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, :30] = (250, 0, 0)
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    path.parent.mkdir(parents=True, exist_ok=True)
    from_pillow(Image.fromarray(pixels)).save(path, quality=95, exif=exif.tobytes())
    return path


def test_heic_photos_are_read(tmp_path):
    for name in ("cat", "dog"):
        for i in range(3):
            heic(tmp_path / name / f"{i}.{'HEIC' if i else 'heif'}")
    report = check_data(tmp_path)
    assert report.parts[0].formats == {"HEIF": 4}
    assert report.left_out == ()
    pixels = read_image(tmp_path / "cat" / "1.HEIC").astype(int)
    assert pixels.shape == (40, 60, 3)
    assert abs(pixels[:, :28] - (250, 0, 0)).max() < 12
    assert pixels[:, 32:].max() < 12
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


def test_what_systems_leave_beside_photos_is_never_data(tmp_path):
    data = write_photos(tmp_path / "data", COLOURS, 6)
    for below in ("red/@eaDir/000.png", "@eaDir", "__MACOSX/red", "lost+found"):
        folder = data / below
        folder.mkdir(parents=True, exist_ok=True)
        photo().save(folder / "SYNOPHOTO_THUMB_M.jpg")
    (data / "red" / "Thumbs.db").write_text("?")
    assert counted(data) == 18
    assert load_splits(data).train.classes == ("blue", "green", "red")
    (words,) = open_data(data).left_out()
    assert sorted(words.removeprefix("left out: ").split(", ")) == [
        "1 Thumbs.db", "1 in __MACOSX", "1 in lost+found", "2 in @eaDir",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["baseline", "progressive", "grey progressive"])
def test_a_jpeg_without_its_end_mark_is_whole_and_one_cut_before_is_not(kind, tmp_path):
    stream = io.BytesIO()
    mode = "L" if "grey" in kind else "RGB"
    photo((160, 120)).convert(mode).save(stream, "JPEG", quality=90, progressive="progressive" in kind)
    content = stream.getvalue()
    whole = read_image(io.BytesIO(content))
    for cut in (1, 2):
        np.testing.assert_array_equal(read_image(io.BytesIO(content[:-cut])), whole)
        (tmp_path / "cut.jpg").write_bytes(content[:-cut])
        small = Preprocessing(32, 36)
        expected, given = (small.load(each) for each in (io.BytesIO(content), tmp_path / "cut.jpg"))
        np.testing.assert_array_equal(given, expected)
    for cut in (3, 4, 6, 8, 10, 20, 50, 500, len(content) // 2):
        with pytest.raises(ImageError):
            read_image(io.BytesIO(content[:-cut]))
    if "progressive" in kind:  # between two of its scans: all that is there is whole, but not all is there
        scans = [place for place in range(len(content)) if content[place : place + 2] == b"\xff\xda"]
        assert len(scans) > 5
        for place in scans[1:]:
            with pytest.raises(ImageError):
                read_image(io.BytesIO(content[: content.rindex(b"\xff\xc4", 0, place)]))


# Colours


def swapped() -> bytes:
    """A profile whose red is green, under the name of sRGB: what counts are its numbers."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, green = profile.find(b"rXYZ"), profile.find(b"gXYZ")
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(profile)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_colours_are_those_that_a_viewer_shows(mode):
    image = Image.new("RGB", (8, 8), (200, 30, 30)).convert(mode, palette=Image.Palette.ADAPTIVE)
    for profile, expected in ((swapped(), (30, 200, 30)), (b"rubbish" * 50, (200, 30, 30)), (b"", (200, 30, 30))):
        stream = io.BytesIO()
        image.save(stream, "PNG", icc_profile=profile)
        pixel = read_image(io.BytesIO(stream.getvalue()))[0, 0]
        assert np.abs(pixel.astype(int) - expected).max() <= 2, profile[:10]


def linear_grey() -> bytes:
    """A profile of grey levels that are proportional to the light."""
    xyz = struct.pack(">4s4x3i", b"XYZ ", 63190, 65536, 54061)
    curve = struct.pack(">4s4xIH2x", b"curv", 1, 256)
    tags = struct.pack(">I4sII4sII", 2, b"wtpt", 156, len(xyz), b"kTRC", 156 + len(xyz), len(curve))
    header = struct.pack(">I4s4s4s4s4s12x4s", 156 + len(xyz) + len(curve), b"lcms", b"\x02\x10\0\0", b"mntr", b"GRAY",
                         b"XYZ ", b"acsp")  # fmt: skip
    return header.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061).ljust(60, b"\0") + tags + xyz + curve


@pytest.mark.parametrize("mode", ["L", "LA"])
def test_grey_levels_have_profiles_too(mode):
    image = Image.new(mode, (8, 8), 128 if mode == "L" else (128, 255))
    if mode == "LA":
        image.putpixel((7, 7), (128, 0))
    stream = io.BytesIO()
    image.save(stream, "PNG", icc_profile=linear_grey())
    pixels = read_image(io.BytesIO(stream.getvalue()))
    assert np.abs(pixels[0, 0].astype(int) - 188).max() <= 2  # 128 / 255 of the light
    assert (pixels[7, 7] == (255 if mode == "LA" else pixels[0, 0])).all()


def test_srgb_itself_costs_no_rounding():
    image = photo()
    image.info["icc_profile"] = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert to_srgb(image) is image


# Layouts


def test_one_folder_too_high_is_the_same_data(tmp_path):
    data = write_photos(tmp_path / "x" / "data", COLOURS, 4)
    (tmp_path / "x" / "README.md").write_text("?")
    assert [str(path) for path in load_splits(tmp_path / "x").train.images] == [
        str(path) for path in load_splits(data).train.images
    ]


def test_a_test_folder_without_labels_is_said_and_not_used(tmp_path):
    write_photos(tmp_path / "data" / "train", COLOURS, 6)
    (tmp_path / "data" / "test").mkdir()
    for i in range(3):
        photo(seed=i).save(tmp_path / "data" / "test" / f"{i}.jpg")
    splits = load_splits(tmp_path / "data")
    assert (len(splits.train), len(splits.test), len(splits.held_out)) == (15, 3, 3)
    examples, missing = open_data(tmp_path / "data").held_out(splits.held_out, splits.train.classes)
    assert (len(examples), missing) == (3, [])
    (words,) = open_data(tmp_path / "data").left_out()
    assert words == f"{tmp_path / 'data' / 'test'}: not used, for it has neither class folders nor a label file"


def test_a_class_called_test_is_explained(tmp_path):
    write_photos(tmp_path / "data", {**COLOURS, "test": (9, 9, 9)}, 2)
    with pytest.raises(DataError, match=r"If test is a class, rename its folder, or move all classes into train/$"):
        load_splits(tmp_path / "data")
    assert "If test is a class" in refusal(resnext("check-data", tmp_path / "data"))


@pytest.mark.parametrize("slash", ["/", "\\"])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_is_the_same_data_as_its_folder(method, slash, tmp_path):
    data = write_photos(tmp_path / "x" / "data", COLOURS, 4)
    archive = pack(tmp_path / "data.ZIP", data, method, slash)
    folder, packed = load_splits(data), load_splits(archive)
    assert packed.held_out == folder.held_out
    for expected, given in zip(folder.train.images, packed.train.images, strict=True):
        np.testing.assert_array_equal(read_image(given), read_image(expected))


def pack(path, data, method=zipfile.ZIP_DEFLATED, slash="/"):
    with zipfile.ZipFile(path, "w", method) as archive:
        for file in sorted(data.rglob("*.png")):
            archive.writestr(slash.join(file.relative_to(data.parent).parts), file.read_bytes())
    return path


def test_a_hostile_or_damaged_zip_is_refused_in_a_line(tmp_path):
    data = write_photos(tmp_path / "data", COLOURS, 2)
    path = pack(tmp_path / "data.zip", data)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"data.zip is damaged or cut short \(.*; download or pack it again$"):
        load_splits(path)
    splits = load_splits(pack(tmp_path / "stored.zip", data, zipfile.ZIP_STORED))
    damaged = bytearray((tmp_path / "stored.zip").read_bytes())
    damaged[damaged.index(b"IDAT") + 6] ^= 255
    (tmp_path / "stored.zip").write_bytes(damaged)
    first = min((*splits.train.images, *splits.test.images), key=lambda member: member.offset)
    with pytest.raises(ImageError, match="its checksum in the archive is another one"):
        read_image(first)
    for name, words in (("../x.png", "a path that leads out of it"), ("a/" * 70 + "x.png", "nested more than 64 deep")):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, b"x")
        with pytest.raises(DataError, match=words):
            load_splits(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a/x.png", b"x")
    with pytest.raises(DataError, match="encrypted or compressed in an unusual way; unpack it and pass the folder"):
        load_splits(path)
    link = zipfile.ZipInfo("a/x.png")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(link, b"/etc/passwd")
    with pytest.raises(DataError, match="which is a link; unpack it and pass the folder"):
        load_splits(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a", "b"):
            for i in range(2):
                archive.writestr(f"{name}/{i}.png", bytes(300_000_000) if (name, i) == ("a", 0) else b"x")
    with pytest.raises(ImageError, match="more than 256 MB"):
        read_image(open_data(path).layout.root.find("a/0.png"))
