"""The images that a table may name: by their paths, or by names that are unique."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import TypeVar

from resnext.data.folders import Folder, Member, composed, is_image_name, shown

T = TypeVar("T")


class Paths:
    """The images below a folder by their paths, in whatever Unicode form they are stored."""

    def __init__(self, folder: Folder):
        self.folder = folder

    def find(self, path: str) -> Path | Member | None:
        """Return the image at a path below the folder, or None if it does not exist."""
        return self.folder.find(path) or (None if path.isascii() else self._composed.get(composed(path)))

    @functools.cached_property
    def _composed(self) -> dict[str, Path | Member]:
        return {composed(relative(image, self.folder)): image for image in images_below(self.folder)}


class NamedImages:
    """The images that a table may name; a folder is searched for names only when a path is not found."""

    def __init__(self, root: Folder, folders: Sequence[Folder]):
        self.root, self.folders, self.paths = root, folders, Paths(root)
        self.find = functools.cache(self._find)

    def _find(self, name: str) -> tuple[str, Path | Member] | None:
        """Return the path and the file of an image, or None if it does not exist."""
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() and path.is_relative_to(str(self.root)):
            path = path.relative_to(str(self.root))
        is_inside = not path.is_absolute() and ".." not in path.parts
        if is_inside and is_image_name(path.name) and (image := self.paths.find(path.as_posix())):
            return relative(image, self.root), image
        image = self.by_name.get(composed(path.name)) if len(path.parts) == 1 else None
        return (relative(image, self.root), image) if image else None  # in another folder it is another image

    @functools.cached_property
    def by_name(self) -> dict[str, Path | Member]:
        """The images by name, with and without suffix, that is unique in the first folder that has it."""
        by_name = {}
        for folder in self.folders:
            images = [(PurePosixPath(str(image)), image) for image in images_below(folder)]
            names = unique((name, image) for path, image in images for name in {path.name, path.stem})
            by_name = names | by_name
        return by_name


def unique(pairs: Iterable[tuple[str, T]]) -> dict[str, T]:
    """Return values by their names, which are composed, without the names that occur several times."""
    named = [(composed(name), value) for name, value in pairs]
    counts = Counter(name for name, _ in named)
    return {name: value for name, value in named if counts[name] == 1}


def images_below(folder: Folder) -> list[Path | Member]:
    """Return the images below a folder. Links to folders are not followed, so the search terminates."""
    found = []
    for name, entry in shown(folder).items():
        if entry is None and is_image_name(name):
            found.append(folder.file(name))
        elif entry and not entry.is_link:
            found += images_below(entry)
    return found


def relative(image: Path | Member, root: Folder) -> str:
    """Return the path of an image below a folder, with slashes."""
    return PurePosixPath(str(image)).relative_to(str(root)).as_posix()
