"""The layout of a folder of data: its parts, and where they lie."""

from __future__ import annotations

from collections.abc import Sequence

from resnext.data.folders import Folder, is_image_name, is_label_file, shown
from resnext.data.label_files import find_label_file
from resnext.data.tables import names_only
from resnext.errors import DataError, printable
from resnext.images.decode import IMAGE_SUFFIXES

PARTS = {"train": "train", "test": "test"} | dict.fromkeys(("val", "valid", "validation"), "validation")
SUFFIXES = " ".join(sorted(IMAGE_SUFFIXES))
# The folders that contain the parts of ImageNet in Kaggle's copy, whose test/ has no labels.
KAGGLE = (("ILSVRC", "Data", "CLS-LOC"), ("Data", "CLS-LOC"))
LAYOUTS = (
    f"DATA/<class>/*, or DATA/train/<class>/* with DATA/test/ or DATA/val/, or a CSV file of files and labels; images "
    f"end in {SUFFIXES}"
)


def parts_of(root: Folder) -> dict[str, Folder]:
    """Return the folders that are parts of a data set, by the name of the part, without a test/ that has no labels."""
    parts = all_parts(root)
    unlabelled = unlabelled_test(root, parts)
    return {name: part for name, part in parts.items() if part is not unlabelled}


def all_parts(root: Folder) -> dict[str, Folder]:
    """Return what `parts_of` does, and a test/ without labels as well. Raises DataError where two are one part."""
    kaggle = next(filter(None, (below(root, names) for names in KAGGLE)), None)
    parts = {}
    for name, folder in shown(kaggle or root).items():
        part = PARTS.get(name.lower())
        if part and folder and not (kaggle and part == "test"):
            if part in parts:
                raise DataError(f"{printable(root)} has {parts[part].name} and {name}; keep one of them")
            parts[part] = folder.checked()
    return parts


def below(root: Folder, names: Sequence[str]) -> Folder | None:
    """Return the folder at this path, or None if it does not exist."""
    folder: Folder | None = root
    for name in names:
        folder = shown(folder).get(name) if folder else None
    return folder


def unlabelled_test(root: Folder, parts: dict[str, Folder]) -> Folder | None:
    """Return a test/ of images alone beside train/, as Kaggle's competitions have it."""
    test = parts.get("test") if "train" in parts else None
    if test is None:
        return None
    entries = shown(test)
    if any(entries.values()) or not any(map(is_image_name, entries)):
        return None
    try:
        labels = find_label_file(test, [root])
    except DataError:
        return test
    return test if names_only(labels) else None


def unwrapped(tree: Folder) -> Folder:
    """Return the only folder in a tree, or the tree itself if that folder is a part of a data set or a class."""
    entries = shown(tree)
    folders = [folder for folder in entries.values() if folder]
    files = [name for name, folder in entries.items() if folder is None]
    is_data = any(is_image_name(name) or is_label_file(name) for name in files)
    if len(folders) != 1 or is_data:
        return tree
    (only,) = folders
    if only.is_link or only.name.lower() in PARTS or not any(shown(only).values()):
        return tree
    return unwrapped(only)
