"""What lies in a data set and is not used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from resnext.data.folders import DROPPINGS, Folder, is_image_name, is_label_file, shown


def count_left_out(root: Folder, parts: Sequence[Folder]) -> Counter[str]:
    """Count the files that are not used, by kind; those beside the class folders and the parts may be anything.

    Args:
        root: folder of the data.
        parts: folders in it that are parts of a data set, if there are some.
    """
    counts = _droppings(root)
    for part in parts or [root]:
        if part is not root:
            counts += _droppings(part)
        folders = [folder for folder in shown(part).values() if folder]
        for folder in folders:
            counts += _count(folder)
        if not folders:  # of images, which a file labels
            others = (name for name in shown(part) if not (is_label_file(name) or is_image_name(name)))
            counts += Counter(map(kind_of, others))
    return counts


def _count(folder: Folder) -> Counter[str]:
    """Count what is not used below a class folder, where links to folders are not followed."""
    counts = _droppings(folder)
    for name, entry in shown(folder).items():
        if entry and entry.is_link:
            counts["links to folders"] += 1
        elif entry:
            counts += _count(entry)
        elif not is_image_name(name):
            counts[kind_of(name)] += 1
    return counts


def _droppings(folder: Folder) -> Counter[str]:
    counts = Counter()
    for name, entry in folder.entries().items():
        if name.lower() in DROPPINGS:
            counts[f"in {name}" if entry else name] += _files(entry) if entry else 1
    return counts


def _files(folder: Folder) -> int:
    return sum(_files(entry) if entry else 1 for entry in folder.entries().values() if not (entry and entry.is_link))


def kind_of(name: str) -> str:
    """Return what a file is counted as: its suffix."""
    return PurePosixPath(name).suffix.lower() or "without a suffix"
