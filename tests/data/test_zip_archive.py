"""Data sets in ZIP archives: the same data as their folders, and what is refused."""

import struct
import zipfile
import zlib

import numpy as np
import pytest

from resnext.data.source import open_data
from resnext.data.zip_archive import zip_members
from resnext.errors import DataError, ImageError
from resnext.images.decode import read_image
from support.photos import COLOURS, load_splits, write_photos

pytestmark = pytest.mark.once


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
    with pytest.raises(ImageError, match="its checksum differs from that in the archive"):
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


def raw_zip(path, name, encoding, unicode_path=False):
    """A zip whose one name is bytes in an encoding and not marked as UTF-8; with Info-ZIP's extra field, if asked."""
    raw, extra = name.encode(encoding), b""
    if unicode_path:
        field = b"\1" + struct.pack("<I", zlib.crc32(raw)) + name.encode()
        extra = struct.pack("<HH", 0x7075, len(field)) + field
    common = struct.pack("<HHHHHIIIHH", 20, 0, 0, 0, 0, zlib.crc32(b"image"), 5, 5, len(raw), len(extra))
    local = b"PK\3\4" + common + raw + extra + b"image"
    central = b"PK\1\2" + struct.pack("<H", 20) + common + struct.pack("<HHHII", 0, 0, 0, 0, 0) + raw + extra
    path.write_bytes(local + central + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local), 0))
    return path


@pytest.mark.parametrize(
    ("name", "encoding"), [("train/Käfer/1.png", "utf-8"), ("train/Käfer/1.png", "cp1252"), ("train/狗/1.png", "gbk")]
)
@pytest.mark.parametrize("unicode_path", [False, True])
def test_names_that_are_not_marked_are_utf_8_or_refused(tmp_path, name, encoding, unicode_path):
    archive = raw_zip(tmp_path / "data.zip", name, encoding, unicode_path)
    if encoding == "utf-8" or unicode_path:
        assert [("/".join(parts), member is None) for parts, member in zip_members(archive)] == [(name, False)]
    else:
        with pytest.raises(DataError, match=r"data.zip has 'train/.*', a name that is not in UTF-8; pack it"):
            open_data(archive)
