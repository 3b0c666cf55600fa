"""Folders of images on disk or in an archive, with one protocol; and the members of an archive."""

from __future__ import annotations

import hashlib
import io
import os
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Protocol

from resnext.errors import DataError, printable
from resnext.images.decode import IMAGE_SUFFIXES

MAX_MEMBER = 256_000_000  # bytes: more than 64 million pixels uncompressed
MAX_DEPTH = 64  # nested folders
TABLES = (".csv", ".tsv")  # suffixes

# Files that operating systems, NAS and tools leave beside photos: thumbnails, waste bins, resource forks.
DROPPINGS = frozenset(
    ("@eadir", "#recycle", "@recycle", "@tmp", "__macosx", "$recycle.bin", "system volume information", "lost+found",
     "thumbs.db", "ehthumbs.db", "desktop.ini", "__pycache__")
)  # fmt: skip


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
        check_size(self.size)
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


def file_size(file: Path | Member) -> int:
    """Return the length of a file in bytes. Raises OSError."""
    return file.size if isinstance(file, Member) else file.stat().st_size


def open_file(file: Path | Member) -> Any:
    """Open a file for reading bytes. Raises OSError or ValueError."""
    return file.open() if isinstance(file, Member) else file.open("rb")


def sha256_of(file: Path | Member) -> bytes:
    """Return the SHA-256 of a file. Raises OSError or ValueError."""
    with open_file(file) as stream:
        return hashlib.file_digest(stream, "sha256").digest()


class Folder(Protocol):
    """A folder on disk or in an archive; `str()` returns its name for error messages."""

    @property
    def name(self) -> str: ...

    @property
    def is_link(self) -> bool: ...

    def entries(self) -> dict[str, Folder | None]:
        """Return the entries that are not hidden, sorted by name: a folder, or None for a file."""
        ...

    def checked(self) -> Folder:
        """Return the folder itself. Raises DataError if it is a link that leads out of the data."""
        ...

    def file(self, name: str) -> Path | Member:
        """Return the file of this name, which must be in `entries`."""
        ...

    def find(self, path: str) -> Path | Member | None:
        """Return the file at this path below the folder, or None if it does not exist."""
        ...


@dataclass(frozen=True)
class DiskFolder:
    """A folder on disk, whose links must not lead out of `root`; None lets them lead anywhere."""

    path: Path
    root: Path | None
    is_link: bool = False

    def __str__(self) -> str:
        return str(self.path)

    @property
    def name(self) -> str:
        return self.path.name

    def checked(self) -> DiskFolder:
        self._check_inside(self.path)
        return self

    def entries(self) -> dict[str, Folder | None]:
        self.checked()
        with os.scandir(self.path) as found:
            shown = sorted((e.name, _is_folder(e), e.is_symlink()) for e in found if not e.name.startswith("."))
        return {name: self._folder(name, is_link) if is_dir else None for name, is_dir, is_link in shown}

    def file(self, name: str) -> Path:
        path = self.path / name
        self._check_inside(path)
        return path

    def find(self, path: str) -> Path | None:
        found = self.path / path
        if not found.is_file():
            return None
        self._check_target(found)  # a folder on the way may be a link
        return found

    def _folder(self, name: str, is_link: bool) -> Folder:
        return DiskFolder(self.path / name, self.root, is_link)

    def _check_inside(self, path: Path) -> None:
        if path.is_symlink():
            self._check_target(path)

    def _check_target(self, path: Path) -> None:
        if self.root is None:
            return
        if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(self.root)):
            raise DataError(
                f"{printable(path)} is a link that leads out of {printable(self.root)}; pass --follow-links to read "
                "it, or copy its target there"
            )


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def shown(folder: Folder) -> dict[str, Folder | None]:
    """Return the entries of a folder without those left there by operating systems and tools."""
    return {name: entry for name, entry in folder.entries().items() if name.lower() not in DROPPINGS}


def is_label_file(name: str) -> bool:
    """Return whether a file name has the suffix of a label file."""
    return PurePosixPath(name).suffix.lower() in (".txt", *TABLES)


def is_table(name: str) -> bool:
    """Return whether a file name has the suffix of a table."""
    return PurePosixPath(name).suffix.lower() in TABLES


def composed(name: str) -> str:
    """Return a name as it is compared: in the composed Unicode form, because file systems differ in what they store."""
    return unicodedata.normalize("NFC", name)


def caseless(name: str) -> str:
    """Return a name as it is compared where its case does not matter."""
    return composed(name).casefold()


def is_image_name(name: str) -> bool:
    """Return whether a file name has the suffix of an image."""
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES


def path_parts(name: str) -> list[str]:
    """Return the parts of a member's path; none for a hidden one."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    return [] if any(part.startswith(".") and part != ".." for part in parts) else parts


def check_parts(name: str, parts: list[str], path: Path) -> None:
    """Refuse a member whose path leads out of the archive or is very deep. Raises DataError."""
    if name.startswith("/") or ".." in parts:
        raise DataError(
            f"{printable(path)} has {name!r}, a path that leads out of it; pack it again with relative paths"
        )
    if len(parts) > MAX_DEPTH:
        raise DataError(f"{printable(path)} has folders nested more than {MAX_DEPTH} deep; pack it again with fewer")


def check_size(size: int) -> None:
    """Raise ValueError if the size exceeds that of any image."""
    if size > MAX_MEMBER:
        raise ValueError(f"more than {MAX_MEMBER // 10**6} MB")


def _whole(content: bytes, size: int) -> bytes:
    if not content:
        raise ValueError("empty file")
    if len(content) != size:
        raise ValueError("the archive ends in the middle of it")
    return content
