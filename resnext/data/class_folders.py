"""Examples from folders: the images of each class folder, or of a folder with a label file."""

from __future__ import annotations

import difflib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from resnext.data.examples import Examples
from resnext.data.folders import Folder, Member, caseless, composed, is_image_name, shown
from resnext.data.labels.label_files import find_label_file, listed_classes, read_labels
from resnext.data.labels.named_images import images_below
from resnext.data.layout import IMAGES, LAYOUTS, has_images, images_of_flat_part
from resnext.data.parts import part_named
from resnext.errors import DataError, printable


def labelled(part: Folder, root: Folder, classes: Sequence[str]) -> Examples:
    """Return the images of a part, labelled by its class folders or, if it has none, by its label file."""
    flat = images_of_flat_part(part)
    if flat is None or (flat is not part and flat.name in classes):
        return examples_of_folders(images_by_class(part, may_be_empty=True), classes, part)
    images = [name for name, folder in shown(flat).items() if folder is None and is_image_name(name)]
    labels = find_label_file(part, [root])
    names = read_labels(labels, images, classes, listed_classes([part, root]))
    return Examples([flat.file(name) for name in images], labels_of(names, classes, labels), tuple(classes))


def images_by_class(part: Folder, may_be_empty: bool = False) -> dict[str, list[Path | Member]]:
    """Return the image files of each class folder in `part`, all sorted by name.

    Args:
        part: folder of class folders.
        may_be_empty: whether some classes may have no images, as for evaluation.

    Raises:
        DataError: there are no class folders with images.
    """
    folders = {name: folder for name, folder in shown(part).items() if folder}
    images = {name: images_below(folder) for name, folder in folders.items()}
    if not any(images.values()):
        _check_one_class(part)
        raise DataError(f"{printable(part)} has no images in class folders; allowed layouts: {LAYOUTS}")
    if not may_be_empty:
        _check_level(part, images)
    for name, files in images.items():
        if not files and not may_be_empty:
            raise DataError(f"no images in {printable(f'{part}/{name}')}; add some or remove the folder")
        if name != name.encode(errors="replace").decode():
            raise DataError(
                f"{printable(f'{part}/{name}')}: its name is not UTF-8, which class names must be; rename the folder"
            )
    return images


def _check_one_class(part: Folder) -> None:
    """Raise DataError if a folder has images and no class folders: it may be one of the class folders."""
    if has_images(part):
        above = os.path.dirname(os.path.abspath(str(part)))
        raise DataError(
            f"{printable(part)} has images and no class folders. If it is the folder of one class, pass the folder "
            f"above it, {printable(above)}; otherwise sort them into a folder for each class, or pass a CSV file of "
            "files and labels"
        )


def folders_in_classes(part: Folder) -> list[str]:
    """Return the names of the folders in the class folders, if no class folder has images of its own."""
    folders = [folder for folder in shown(part).values() if folder]
    if any(map(has_images, folders)):
        return []
    return [name for folder in folders for name, entry in shown(folder).items() if entry]


def _check_level(part: Folder, images: Mapping[str, list[Path | Member]]) -> None:
    """Raise DataError if folders in the folders may be the classes, or the parts, as well.

    They may be the classes if their names occur in several folders, unless most images are elsewhere, or if one has the
    name of another folder.
    """
    below = Counter((top, names) for top, files in images.items() for names in _folders_below(part, top, files))
    tops: dict[str, set[str]] = {}  # the folders in `part` that have a folder of this name
    for top, names in below:
        for name in names:
            tops.setdefault(name, set()).add(top)
    several = {name for name, found in tops.items() if len(found) > 1}
    within = sum(count for (_, names), count in below.items() if several & {*names})
    is_most = 2 * within >= sum(below.values()) or all(names for _, names in below)
    called: dict[str, set[str]] = {}  # the folders in `part` of this name
    for top in images:
        called.setdefault(caseless(top), set()).add(top)
    same = {name for name, found in tops.items() if called.get(name, set()) - found}
    parts = {name for name in tops if part_named(name)}
    if found := sorted(same or parts or (several if is_most else set())):
        what, end = ("parts", " the parts") if found[0] in parts else ("classes", "")
        names, inner = (", ".join(map(printable, each[:3])) for each in ([*images], found))
        raise DataError(
            f"{printable(part)} can be read in two ways: its folders ({names}) are the classes, or the folders in them "
            f"({inner}) are{end}. Pass the folder whose folders are the {what}, such as "
            f"{printable(f'{part}/{min(tops[found[0]])}')}, or a table of files and labels"
        )


def _folders_below(part: Folder, top: str, files: Sequence[Path | Member]) -> Iterator[tuple[str, ...]]:
    """Yield for each image of a class folder the folders between them, without images/."""
    start = len(f"{part}/{top}/")
    for file in files:
        names = str(file)[start:].split(os.sep if isinstance(file, Path) else "/")[:-1]
        yield tuple(caseless(name) for name in names if name.lower() not in IMAGES)


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
    """Return a line for each pair of classes that people would take for one."""
    lines, seen = [], {}
    for name in classes:
        plain = _alike(name)
        if plain in seen:
            lines.append(f"classes: {seen[plain]!r} and {name!r} look alike; are they one class?")
        seen.setdefault(plain, name)
    return lines


def _alike(name: str) -> str:
    """Return a name without what people overlook: case, width, blanks, invisible characters, marks; or its number."""
    text = "".join(c for c in unicodedata.normalize("NFKC", name) if unicodedata.category(c) not in ("Cf", "Cc"))
    plain = " ".join(re.sub(r"[_\-'\"`]", " ", text).split()).casefold()
    return f"{float(plain):g}" if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", plain, re.ASCII) else plain


def _with_nearest(name: str, known: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(name, known, n=1)
    return f"{name!r} (did you mean {nearest[0]!r}?)" if nearest else repr(name)
