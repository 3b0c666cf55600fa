"""Examples from folders: the images of each class folder, or of a folder with a label file."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from unicodedata import normalize

import numpy as np

from resnext.data.examples import Examples
from resnext.data.folders import Folder, Member, is_image_name, shown
from resnext.data.label_files import find_label_file, read_labels
from resnext.data.layout import LAYOUTS
from resnext.data.tables import images_below
from resnext.errors import DataError, printable


def labelled(part: Folder, root: Folder, classes: Sequence[str]) -> Examples:
    """Return the images of a part, labelled by its class folders or, if it has none, by its label file."""
    entries = shown(part)
    images = [name for name, folder in entries.items() if folder is None and is_image_name(name)]
    if not images or any(entries.values()):
        return examples_of_folders(images_by_class(part, may_be_empty=True), classes, part)
    labels = find_label_file(part, [root])
    names = read_labels(labels, images, classes)
    return Examples([part.file(name) for name in images], labels_of(names, classes, labels), tuple(classes))


def images_by_class(part: Folder, may_be_empty: bool = False) -> dict[str, list[Path | Member]]:
    """Return the image files of each class folder in `part`, all sorted by name.

    Args:
        part: folder of class folders.
        may_be_empty: whether some classes may have no images, as for evaluation.
    """
    images = {name: images_below(folder) for name, folder in shown(part).items() if folder}
    if not any(images.values()):
        raise DataError(f"no images in class folders in {printable(part)}; allowed layouts: {LAYOUTS}")
    for name, files in images.items():
        if not files and not may_be_empty:
            raise DataError(f"no images in {printable(f'{part}/{name}')}; add some or remove the folder")
        if name != name.encode(errors="replace").decode():
            raise DataError(
                f"{printable(f'{part}/{name}')}: its name is not UTF-8, which class names must be; rename the folder"
            )
    return images


def examples_of_folders(images: dict[str, list[Path | Member]], classes: Sequence[str], where: object) -> Examples:
    """Return the images of `images_by_class`, one class after another, labelled by `classes`."""
    labels = np.repeat(labels_of(images, classes, where), [len(files) for files in images.values()])
    return Examples([*chain(*images.values())], labels, tuple(classes))


def labels_of(names: Iterable[str], classes: Sequence[str], where: object) -> np.ndarray:
    """Return the index in `classes` of each name, int32.

    Names are first converted to the composed Unicode form, because file systems differ in the form that they store.
    """
    index = {normalize("NFC", name): label for label, name in enumerate(classes)}
    if len(index) < len(classes):
        raise DataError(f"classes of {printable(where)} differ only in their Unicode form; rename one")
    composed = [normalize("NFC", name) for name in names]
    unknown = list(dict.fromkeys(name for name in composed if name not in index))
    if unknown:
        named = [_with_nearest(name, index) for name in unknown[:10]] + (["..."] if len(unknown) > 10 else [])
        raise DataError(f"{printable(where)} has classes that training has not seen: {', '.join(named)}")
    return np.array([index[name] for name in composed], np.int32)


def _with_nearest(name: str, known: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(name, known, n=1)
    return f"{name!r} (did you mean {nearest[0]!r}?)" if nearest else repr(name)
