"""Examples from folders: the images of each class folder, or of a folder with a label file."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from resnext.data.examples import Examples
from resnext.data.folders import Folder, Member, composed, is_image_name, shown
from resnext.data.labels.label_files import find_label_file, read_labels
from resnext.data.labels.tables import images_below
from resnext.data.layout import IMAGES, LAYOUTS, has_images, images_of_flat_part
from resnext.errors import DataError, printable


def labelled(part: Folder, root: Folder, classes: Sequence[str]) -> Examples:
    """Return the images of a part, labelled by its class folders or, if it has none, by its label file."""
    flat = images_of_flat_part(part)
    if flat is None or (flat is not part and flat.name in classes):
        return examples_of_folders(images_by_class(part, may_be_empty=True), classes, part)
    images = [name for name, folder in shown(flat).items() if folder is None and is_image_name(name)]
    labels = find_label_file(part, [root])
    names = read_labels(labels, images, classes)
    return Examples([flat.file(name) for name in images], labels_of(names, classes, labels), tuple(classes))


def images_by_class(part: Folder, may_be_empty: bool = False) -> dict[str, list[Path | Member]]:
    """Return the image files of each class folder in `part`, all sorted by name.

    Args:
        part: folder of class folders.
        may_be_empty: whether some classes may have no images, as for evaluation.
    """
    folders = {name: folder for name, folder in shown(part).items() if folder}
    images = {name: images_below(folder) for name, folder in folders.items()}
    if not any(images.values()):
        raise DataError(f"{printable(part)} has no images in class folders; allowed layouts: {LAYOUTS}")
    if not may_be_empty:
        _check_level(part, folders)
    for name, files in images.items():
        if not files and not may_be_empty:
            raise DataError(f"no images in {printable(f'{part}/{name}')}; add some or remove the folder")
        if name != name.encode(errors="replace").decode():
            raise DataError(
                f"{printable(f'{part}/{name}')}: its name is not UTF-8, which class names must be; rename the folder"
            )
    return images


def folders_in_classes(part: Folder) -> list[str]:
    """Return the names of the folders in the class folders, if no class folder has images of its own."""
    folders = [folder for folder in shown(part).values() if folder]
    if any(map(has_images, folders)):
        return []
    return [name for folder in folders for name, entry in shown(folder).items() if entry]


def _check_level(part: Folder, folders: Mapping[str, Folder]) -> None:
    """Raise DataError if the folders in the folders may be the classes as well: some have the same names."""
    counts = Counter(folders_in_classes(part))
    several = [name for name, count in counts.items() if count > 1]
    if several and not (len(counts) == 1 and several[0].lower() in IMAGES):
        tops, below = (", ".join(map(printable, names[:3])) for names in ([*folders], several))
        raise DataError(
            f"{printable(part)} can be read in two ways: its folders ({tops}) are the classes, or the folders in them "
            f"({below}) are. Pass the folder whose folders are the classes, such as {printable(part)}/"
            f"{printable(next(iter(folders)))}, or a table of files and labels"
        )


def examples_of_folders(images: dict[str, list[Path | Member]], classes: Sequence[str], where: object) -> Examples:
    """Return the images of `images_by_class`, one class after another, labelled by `classes`."""
    labels = np.repeat(labels_of(images, classes, where), [len(files) for files in images.values()])
    return Examples([*chain(*images.values())], labels, tuple(classes))


def labels_of(names: Iterable[str], classes: Sequence[str], where: object) -> np.ndarray:
    """Return the index in `classes` of each name, int32.

    Names are first converted to the composed Unicode form, because file systems differ in the form that they store.
    """
    index = {composed(name): label for label, name in enumerate(classes)}
    if len(index) < len(classes):
        raise DataError(f"classes of {printable(where)} differ only in their Unicode form; rename one")
    names = [composed(name) for name in names]
    unknown = list(dict.fromkeys(name for name in names if name not in index))
    if unknown:
        named = [_with_nearest(name, index) for name in unknown[:10]] + (["..."] if len(unknown) > 10 else [])
        raise DataError(f"{printable(where)} has classes that training has not seen: {', '.join(named)}")
    return np.array([index[name] for name in names], np.int32)


def alike(classes: Sequence[str]) -> list[str]:
    """Return a line for each pair of classes that differ only in case, blanks, underscores or hyphens."""
    lines, seen = [], {}
    for name in classes:
        plain = " ".join(composed(name).replace("_", " ").replace("-", " ").split()).casefold()
        if plain in seen:
            differ = "differ only in case, blanks, underscores or hyphens; are they one class?"
            lines.append(f"classes: {seen[plain]!r} and {name!r} {differ}")
        seen.setdefault(plain, name)
    return lines


def _with_nearest(name: str, known: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(name, known, n=1)
    return f"{name!r} (did you mean {nearest[0]!r}?)" if nearest else repr(name)
