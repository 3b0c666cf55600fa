"""Tar archives: an uncompressed one is read in place; the images of a compressed one are held in memory."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from resnext.data.folders import HeldMember, Member, check_parts, is_image_name, is_label_file, path_parts
from resnext.errors import DataError, printable

READERS = {
    ".tar": lambda path: open(path, "rb"),  # noqa: SIM115
    ".tar.gz": gzip.open,
    ".tgz": gzip.open,
    ".tar.xz": lzma.open,
    ".tar.bz2": bz2.open,
}
MAX_UNPACKED = 2_000_000_000  # bytes of a compressed archive, which is unpacked; its images stay in memory
MAX_HEADER = 1_000_000  # bytes: a name and tar's additions to it


def tar_members(path: Path, suffix: str) -> Iterator[tuple[list[str], Member | None]]:
    """Yield the folders (as None) and files of a tar archive, each with the parts of its path.

    For a compressed archive, images and label files are held in memory; other files are only counted.
    """
    with READERS[suffix](path) as stream:
        yield from _members(path, stream, is_compressed=suffix != ".tar")


def _members(path: Path, stream: BinaryIO, is_compressed: bool) -> Iterator[tuple[list[str], Member | None]]:
    headers = _Headers(stream)
    with tarfile.TarFile(fileobj=headers) as archive:  # pyright: ignore[reportArgumentType]
        while (info := archive.next()) is not None:
            archive.members.clear()  # pyright: ignore[reportAttributeAccessIssue]  # it would keep all members
            _check_size(info, path, is_compressed)
            parts = path_parts(info.name)
            if not parts:
                continue
            check_parts(info.name, parts, path)
            _check_kind(info, path)
            if info.isdir():
                yield parts, None
            else:
                place = (path, "/".join(parts), info.offset_data, info.size)
                held = is_compressed and (is_image_name(parts[-1]) or is_label_file(parts[-1]))
                yield parts, HeldMember(*place, _content(stream, info)) if held else Member(*place)
    if headers.last != bytes(tarfile.BLOCKSIZE):  # tarfile mistakes a damaged header for the end
        raise ValueError("its end mark is missing")
    if is_compressed:
        _check_rest(stream)


def _check_size(info: tarfile.TarInfo, path: Path, is_compressed: bool) -> None:
    if info.size < 0:
        raise ValueError(f"a member of {info.size} bytes")
    if is_compressed and info.offset_data + info.size > MAX_UNPACKED:
        raise DataError(
            f"{printable(path)} holds more than {MAX_UNPACKED / 1e9:.0f} GB, too much to keep in memory; unpack it and "
            "pass the folder, or pass the uncompressed .tar"
        )


def _check_kind(info: tarfile.TarInfo, path: Path) -> None:
    if not (info.isdir() or info.isfile()) or info.issparse():
        raise DataError(
            f"{printable(path)} has {info.name!r}, which is a link or otherwise not a plain file; unpack it and pass "
            "the folder"
        )


def _check_rest(stream: BinaryIO) -> None:
    """Read to the end, where the decoder verifies its checksum."""
    while stream.read(MAX_HEADER):
        if stream.tell() > MAX_UNPACKED:
            raise ValueError("it continues after its end mark")


class _Headers:
    """A stream through which `tarfile` reads the headers; it refuses a header that would need much memory."""

    def __init__(self, stream: BinaryIO):
        self.stream, self.last = stream, b""
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int) -> bytes:
        if not 0 <= size <= MAX_HEADER:
            raise ValueError(f"a header of {size:,} bytes")
        self.last = self.stream.read(size)
        return self.last


def _content(stream: BinaryIO, info: tarfile.TarInfo) -> bytes:
    stream.seek(info.offset_data)
    content = stream.read(info.size)
    if len(content) != info.size:
        raise ValueError("unexpected end of data")
    return content
