"""Folders in a tar archive, behind the same protocol as folders on disk (`resnext.data.folders`).

Nothing is unpacked. An uncompressed archive is read in place; a compressed one is held in memory. The member headers
are not trusted: an archive that is damaged or cut short, and a member that is neither a file nor a folder or whose path
leads out of the archive, are refused with a one-line message.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from resnext.data.folders import Folder
from resnext.errors import DataError, one_line, printable
from resnext.images.decode import IMAGE_SUFFIXES

READERS = {
    ".tar": lambda path: open(path, "rb"),  # noqa: SIM115
    ".tar.gz": gzip.open,
    ".tgz": gzip.open,
    ".tar.xz": lzma.open,
    ".tar.bz2": bz2.open,
}
LABEL_SUFFIXES = frozenset({".txt", ".csv"})  # suffixes of the files that name the classes of images
MAX_UNPACKED = 2_000_000_000  # bytes of a compressed archive: all of them are unpacked, and its images stay in memory
MAX_MEMBER = 256_000_000  # bytes: more than 64 million pixels uncompressed
MAX_HEADER = 1_000_000  # bytes: a name and what tar adds to it
MAX_DEPTH = 64  # nested folders
MAX_TEXT = 64_000_000  # bytes: ImageNet's longest list of labels has 2 million


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an uncompressed archive. Each read opens the archive separately, so threads share nothing."""

    archive: Path
    name: str  # the path in the archive
    offset: int
    size: int

    def __str__(self) -> str:
        return f"{self.archive}/{self.name}"

    def open(self) -> BinaryIO:
        """Return the content in memory. Raises ValueError if it is empty, too large or cut off by the archive's end."""
        if self.size > MAX_MEMBER:
            raise ValueError(f"more than {MAX_MEMBER // 10**6} MB")
        with open(self.archive, "rb") as archive:
            archive.seek(self.offset)
            return io.BytesIO(_whole(archive.read(self.size), self.size))


@dataclass(frozen=True, slots=True)
class HeldMember(Member):
    """A file in a compressed archive, held in memory since the archive was read."""

    content: bytes = field(repr=False)

    def open(self) -> BinaryIO:
        """Return the content."""
        return io.BytesIO(_whole(self.content, self.size))


@dataclass(frozen=True)
class ArchiveFolder:
    """A folder in an archive; in `content`, each folder is a dictionary."""

    archive: Path
    path: str  # in the archive
    content: dict[str, Any] = field(repr=False)
    is_link: bool = False

    def __str__(self) -> str:
        return f"{self.archive}/{self.path}" if self.path else str(self.archive)

    @property
    def name(self) -> str:
        return self.path.split("/")[-1]

    def entries(self) -> dict[str, Folder | None]:
        return {name: self._folder(name, self.content[name]) for name in sorted(self.content)}

    def checked(self) -> ArchiveFolder:
        return self

    def file(self, name: str) -> Member:
        return self.content[name]

    def find(self, path: str) -> Member | None:
        found: Any = self.content
        for name in path.split("/"):
            found = found.get(name) if isinstance(found, dict) else None
        return found if isinstance(found, Member) else None

    def _folder(self, name: str, content: object) -> Folder | None:
        path = f"{self.path}/{name}" if self.path else name
        return ArchiveFolder(self.archive, path, content) if isinstance(content, dict) else None


def archive_suffix(path: Path) -> str | None:
    """Return the suffix that marks the file as an archive and gives its compression, or None."""
    return next((suffix for suffix in READERS if path.name.lower().endswith(suffix)), None)


def read_archive(path: Path) -> ArchiveFolder:
    """Return the top folder of the archive.

    Raises:
        DataError: the archive is damaged, hostile, or compressed and too large to keep in memory.
    """
    suffix = archive_suffix(path) or ".tar"
    content: dict[str, Any] = {}
    try:
        with READERS[suffix](path) as stream:
            for parts, member in _members(path, stream, is_compressed=suffix != ".tar"):
                _insert(content, parts, member)
    except DataError:
        raise
    except Exception as error:  # for damaged archives, tarfile and the decoders raise many kinds of errors
        raise DataError(
            f"{printable(path)} is damaged or cut short ({one_line(error)}); download or pack it again"
        ) from error
    return ArchiveFolder(path, "", content)


def read_text(file: Path | Member) -> str:
    """Return the content of a small text file. Raises DataError if it can't be read or is not text."""
    try:
        with file.open("rb") if isinstance(file, Path) else file.open() as stream:
            content = stream.read(MAX_TEXT + 1)
        if len(content) > MAX_TEXT:
            raise ValueError(f"more than {MAX_TEXT:,} bytes")
        return content.decode("utf-8-sig")
    except (OSError, ValueError) as error:
        raise DataError(f"{printable(file)} can't be read as text: {error}") from error


def _members(path: Path, stream: BinaryIO, is_compressed: bool) -> Iterator[tuple[list[str], Member | None]]:
    """Yield the folders (as None), images and label files of an archive, each with the parts of its path."""
    headers = _Headers(stream)
    with tarfile.TarFile(fileobj=headers) as archive:  # pyright: ignore[reportArgumentType]
        while (info := archive.next()) is not None:
            archive.members.clear()  # pyright: ignore[reportAttributeAccessIssue]  # it would keep all of them
            _check_size(info, path, is_compressed)
            parts = [part for part in info.name.split("/") if part not in ("", ".")]
            if not parts or any(part.startswith(".") and part != ".." for part in parts):
                continue
            _check_kind(info, parts, path)
            if info.isdir():
                yield parts, None
            elif Path(parts[-1]).suffix.lower() in IMAGE_SUFFIXES | LABEL_SUFFIXES:
                place = (path, "/".join(parts), info.offset_data, info.size)
                yield parts, HeldMember(*place, _content(stream, info)) if is_compressed else Member(*place)
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


def _check_kind(info: tarfile.TarInfo, parts: list[str], path: Path) -> None:
    if info.name.startswith("/") or ".." in parts:
        raise DataError(
            f"{printable(path)} has {info.name!r}, a path that leads out of it; pack it again with relative paths"
        )
    if len(parts) > MAX_DEPTH:
        raise DataError(f"{printable(path)} has folders nested more than {MAX_DEPTH} deep; pack it again with fewer")
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


def _insert(content: dict[str, Any], parts: list[str], member: Member | None) -> None:
    """Insert the member into the dictionaries of its folders; of two with the same path, the later one counts."""
    *folders, name = parts if member else [*parts, ""]
    for folder in folders:
        content = content.setdefault(folder, {})
        if not isinstance(content, dict):
            raise ValueError(f"{folder!r} is both a file and a folder")
    if member and isinstance(content.get(name), dict):
        raise ValueError(f"{name!r} is both a file and a folder")
    if member:
        content[name] = member


def _whole(content: bytes, size: int) -> bytes:
    if not content:
        raise ValueError("empty file")
    if len(content) != size:
        raise ValueError("the archive ends in the middle of it")
    return content
