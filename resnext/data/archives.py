"""Folders in a tar or zip archive, with the same protocol as folders on disk (`resnext.data.folders`).

Nothing is unpacked. The headers are not trusted: an archive that is damaged or cut short, and a member that is neither
a file nor a folder or whose path leads out of the archive, are refused with a one-line message.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from resnext.data.folders import Folder, Member
from resnext.data.tar_archive import READERS, tar_members
from resnext.data.zip_archive import zip_members
from resnext.errors import DataError, one_line, printable

ZIP = ".zip"
ARCHIVES = (*READERS, ZIP)  # suffixes
MAX_TEXT = 64_000_000  # bytes: ImageNet's longest list of labels has 2 million


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
    return next((suffix for suffix in ARCHIVES if path.name.lower().endswith(suffix)), None)


def read_archive(path: Path) -> ArchiveFolder:
    """Return the top folder of the archive.

    Raises:
        DataError: the archive is damaged, hostile, or compressed and too large to keep in memory.
    """
    content: dict[str, Any] = {}
    try:
        suffix = archive_suffix(path) or ".tar"
        for parts, member in zip_members(path) if suffix == ZIP else tar_members(path, suffix):
            _insert(content, parts, member)
    except DataError:
        raise
    except Exception as error:  # damaged archives make readers and decoders raise many kinds of errors
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
        raise DataError(f"{printable(file)} can't be read as text: {error}. Save it in UTF-8") from error


def _insert(content: dict[str, Any], parts: list[str], member: Member | None) -> None:
    """Insert the member into the dictionaries of its folders; if two have the same path, the later one counts."""
    *folders, name = parts if member else [*parts, ""]
    for folder in folders:
        content = content.setdefault(folder, {})
        if not isinstance(content, dict):
            raise ValueError(f"{folder!r} is both a file and a folder")
    if member and isinstance(content.get(name), dict):
        raise ValueError(f"{name!r} is both a file and a folder")
    if member:
        content[name] = member
