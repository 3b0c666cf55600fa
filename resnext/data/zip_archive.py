"""Zip archives: their directory, and their members read in place by threads that share nothing."""

from __future__ import annotations

import contextlib
import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from resnext.data.folders import Member, check_parts, check_size, path_parts
from resnext.errors import DataError, printable

STORED, DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED
LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature, lengths of the name and of the extra field
ENCRYPTED, UTF_8 = 1, 1 << 11  # bits of the flags
UNICODE_PATH = 0x7075  # extra field in which Info-ZIP keeps the name in UTF-8


@dataclass(frozen=True, slots=True)
class ZipMember(Member):
    """A file in a zip; `offset` is that of its local header, `size` that of its content."""

    compressed: int  # bytes in the archive
    method: int
    checksum: int

    def open(self) -> BinaryIO:
        """Return the content in memory. Raises ValueError if it is empty, too large, damaged or cut off."""
        check_size(max(self.size, self.compressed))
        if not self.size:
            raise ValueError("empty file")
        with open(self.archive, "rb") as archive:
            archive.seek(self.offset)
            signature, name, extra = LOCAL_HEADER.unpack(archive.read(LOCAL_HEADER.size))
            if signature != b"PK\3\4":
                raise ValueError("the archive has something else in its place")
            archive.seek(name + extra, io.SEEK_CUR)
            content = archive.read(self.compressed)
        if self.method == DEFLATED:
            content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(content, self.size + 1)
        if len(content) != self.size or zlib.crc32(content) != self.checksum:
            raise ValueError("its checksum differs from that in the archive")
        return io.BytesIO(content)


def zip_members(path: Path) -> Iterator[tuple[list[str], Member | None]]:
    """Yield the folders (as None) and files of a zip, each with the parts of its path.

    Raises:
        DataError: a member is encrypted, compressed by an unusual method, a link, or leads out of the archive.
    """
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            name = _name(info, path).replace("\\", "/")  # as some Windows programs write it
            parts = path_parts(name)
            if not parts:
                continue
            check_parts(name, parts, path)
            if stat.S_ISLNK(info.external_attr >> 16):
                raise DataError(f"{printable(path)} has {name!r}, which is a link; unpack it and pass the folder")
            if info.flag_bits & ENCRYPTED or info.compress_type not in (STORED, DEFLATED):
                raise DataError(
                    f"{printable(path)} has {name!r}, which is encrypted or compressed in an unusual way; unpack it "
                    "and pass the folder"
                )
            if name.endswith("/"):
                yield parts, None
            else:
                place = (path, "/".join(parts), info.header_offset, info.file_size)
                yield parts, ZipMember(*place, info.compress_size, info.compress_type, info.CRC)


def _name(info: zipfile.ZipInfo, path: Path) -> str:
    """Return the name of a member. Raises DataError if its encoding is unknown."""
    if info.flag_bits & UTF_8 or info.orig_filename.isascii():
        return info.filename
    raw = info.orig_filename.encode("cp437")  # which zipfile takes all other names for
    for encoded in (_unicode_path(info.extra, raw), raw):
        with contextlib.suppress(UnicodeDecodeError):
            return encoded.decode()
    raise DataError(
        f"{printable(path)} has {printable(info.filename)!r}, a name that is not in UTF-8; pack it again "
        "with names in UTF-8, or unpack it and pass the folder"
    )


def _unicode_path(extra: bytes, name: bytes) -> bytes:
    """Return the name in the extra fields, or the given one if they have none for it."""
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        content, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == UNICODE_PATH and content[1:5] == struct.pack("<I", zlib.crc32(name)):
            return content[5:]
    return name
