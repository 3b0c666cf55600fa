"""Files in an archive: what a member is, and which are refused."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from resnext.errors import DataError, printable

MAX_MEMBER = 256_000_000  # bytes: more than 64 million pixels uncompressed
MAX_DEPTH = 64  # nested folders


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
    """Raise ValueError for more bytes than any image needs."""
    if size > MAX_MEMBER:
        raise ValueError(f"more than {MAX_MEMBER // 10**6} MB")


def _whole(content: bytes, size: int) -> bytes:
    if not content:
        raise ValueError("empty file")
    if len(content) != size:
        raise ValueError("the archive ends in the middle of it")
    return content
