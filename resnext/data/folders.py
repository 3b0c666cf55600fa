"""Folders of images, on disk or in an archive, behind one protocol."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from resnext.errors import DataError, printable

if TYPE_CHECKING:
    from resnext.data.archives import Member


class Folder(Protocol):
    """A folder, wherever it lies; `str()` is what to call it in an error."""

    @property
    def name(self) -> str: ...

    @property
    def is_link(self) -> bool: ...

    def entries(self) -> dict[str, Folder | None]:
        """What lies in it and is not hidden, by name and sorted: folders, and None for a file."""
        ...

    def checked(self) -> Folder:
        """Itself. Raises DataError where it is a link that leaves the data."""
        ...

    def file(self, name: str) -> Path | Member:
        """The file of this name, which `entries` has."""
        ...

    def find(self, path: str) -> Path | Member | None:
        """The file at this path below the folder, if it is there."""
        ...


@dataclass(frozen=True)
class DiskFolder:
    """A folder on disk, whose links may not leave `root`."""

    path: Path
    root: Path
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
            shown = sorted((e.name, e.is_dir(), e.is_symlink()) for e in found if not e.name.startswith("."))
        return {name: self._folder(name, is_link) if is_dir else None for name, is_dir, is_link in shown}

    def file(self, name: str) -> Path:
        path = self.path / name
        self._check_inside(path)
        return path

    def find(self, path: str) -> Path | None:
        found = self.path / path
        return found if found.is_file() else None

    def _folder(self, name: str, is_link: bool) -> Folder:
        return DiskFolder(self.path / name, self.root, is_link)

    def _check_inside(self, path: Path) -> None:
        if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(self.root)):
            raise DataError(f"{printable(path)} is a link that leaves {printable(self.root)}; copy its target there")
