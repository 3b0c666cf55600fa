"""Folders of images, on disk or in an archive, behind one protocol."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Protocol

from resnext.errors import DataError, printable
from resnext.images.decode import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from resnext.data.archive_members import Member


# What operating systems, NAS and tools leave beside photos: thumbnails, waste bins, resource forks.
DROPPINGS = frozenset(
    ("@eadir", "#recycle", "@recycle", "@tmp", "__macosx", "$recycle.bin", "system volume information", "lost+found",
     "thumbs.db", "ehthumbs.db", "desktop.ini", "__pycache__")
)  # fmt: skip


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
    """Return the entries of a folder without what systems and tools left there."""
    return {name: entry for name, entry in folder.entries().items() if name.lower() not in DROPPINGS}


def is_label_file(name: str) -> bool:
    """Return whether a file's suffix is that of a file that names the classes of images."""
    return PurePosixPath(name).suffix.lower() in (".txt", ".csv")


def is_image_name(name: str) -> bool:
    """Return whether a file's suffix is that of an image."""
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES
