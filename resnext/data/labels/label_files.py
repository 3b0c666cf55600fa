"""Label files: text files with the classes of images that are not in class folders, such as ImageNet's for validation.

LOC_val_solution.csv                            Kaggle's file: ImageId,PredictionString
imagenet_2012_validation_synset_labels.txt      a class name on each line, in the sorted order of the images
val.txt                                         the same, or `file label` on each line; all labels are class names
                                                or all are indices into the sorted class names
val.csv, labels.csv                             with a header: columns for the file and for the label
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from resnext.data.archives import read_text
from resnext.data.folders import Folder, Member, composed, is_label_file, is_table
from resnext.data.labels.columns import find_columns, has_files, has_labels, missing_column
from resnext.data.labels.rows import DELIMITERS, LINE_END, TextRow, read_rows
from resnext.data.parts import PARTS, part_of
from resnext.errors import DataError, printable

NAMES = (
    "LOC_{part}_solution.csv", "imagenet_2012_validation_synset_labels.txt", "{part}.txt", "{part}_labels.txt",
    "{part}.csv", "{part}_labels.csv", "{part}_annotations.txt",
)  # fmt: skip
LISTS = ("classes.txt", "class_names.txt", "classes.names", "labels.txt", "categories.txt", "names.txt")
NUMBERED = "ILSVRC2012_validation_ground_truth.txt"  # not a valid label file, but often mistaken for one
KAGGLE_COLUMNS = ["ImageId", "PredictionString"]
ALLOWED = (
    f"a label file: {NAMES[0].format(part='val')}, {NAMES[1]}, val.txt with a line `file label` for each image, or "
    "val.csv with the columns file and label"
)


def find_label_file(part: Folder, folders: Iterable[Folder]) -> Path | Member:
    """Return the label file of a part without class folders, found by name in the part or in one of the folders.

    A single text file among the images may have any name.

    Raises:
        DataError: there is no label file.
    """
    words = [part.name, *(word for word in PARTS if PARTS[word] == part_of(part.name))]
    names = [name.format(part=word) for name in NAMES for word in dict.fromkeys(words)] + [NUMBERED]
    for folder in (part, *folders):
        entries = folder.entries()
        found = [name for name in names if name in entries]
        if not found and folder is part:
            found = [name for name in entries if is_label_file(name)]
            found = found if len(found) == 1 else []
        if found:
            return folder.file(found[0])
    raise DataError(f"{printable(part)} has images but no class folders; sort them into folders or add {ALLOWED}")


def listed_classes(folders: Iterable[Folder]) -> list[str]:
    """Return the lines of a file in one of the folders that lists classes, such as classes.txt; none without one."""
    for folder in folders:
        names = [name for name in LISTS if name in folder.entries()]
        if names:
            return _lines(read_text(folder.file(names[0])))
    return []


def read_labels(
    file: Path | Member, images: Sequence[str], classes: Sequence[str], order: Sequence[str] = ()
) -> list[str]:
    """Return the class name of each image in the file; the names are not checked.

    Args:
        file: label file in one of the forms above.
        images: sorted file names of the images.
        classes: class names.
        order: class names in the order of a list that lies there, if one does.

    Raises:
        DataError: the file does not have one label for each image, or has numbers with a different meaning.
    """
    text = read_text(file)
    lines, known = _lines(text), _known(images)
    if _is_kaggles(lines):
        # After the image and its class, a line contains the position in the image.
        pairs = [line.replace(",", " ").split()[:2] for line in lines[1:]]
    elif _has_columns(file, lines):
        _, pairs = _read_columns(file, text, known)
    elif any(_split(line, known) for line in lines):
        pairs = [_split(line, known) or line.split(maxsplit=1) for line in lines]
    else:
        return _in_order(file, lines, images, classes)
    label_of = _by_image(file, pairs, known)
    without = [image for image in images if image not in label_of]
    if without:
        raise DataError(f"{printable(file)} has no label for {_named(without)}; add it or remove the image")
    return _class_names(file, [label_of[image] for image in images], classes, order)


def columns_read(file: Path | Member, images: Sequence[str]) -> list[str]:
    """Return the names of the columns for files and for labels in the header of a label file; none without a header.

    Args:
        file, images: as in `read_labels`.

    Raises:
        DataError: the header names no file or no label.
    """
    text = read_text(file)
    lines = _lines(text)
    if _is_kaggles(lines):
        return KAGGLE_COLUMNS
    return _read_columns(file, text, _known(images))[0] if _has_columns(file, lines) else []


def _lines(text: str) -> list[str]:
    return [line.strip() for line in LINE_END.split(text) if line.strip()]


def _is_kaggles(lines: Sequence[str]) -> bool:
    return lines[:1] == [",".join(KAGGLE_COLUMNS)]


def _has_columns(file: Path | Member, lines: Sequence[str]) -> bool:
    return is_table(str(file)) and bool(lines) and any(mark in lines[0] for mark in DELIMITERS)


def _read_columns(file: Path | Member, text: str, known: Mapping[str, str]) -> tuple[list[str], list[list[str]]]:
    """Return the names of two columns, and file and label of each row.

    Without a header the first two columns count, and the names are none.
    """
    rows = read_rows(file, text)
    if not rows:
        raise missing_column(file, [])
    header, *others = rows
    if not has_files(header.fields) and not has_labels(header.fields):
        return [], [row.fields[:2] for row in rows]
    columns = find_columns(file, header.fields, others, lambda name: _image(name, known))
    label = columns.label
    if label is None:
        raise DataError(
            f"{printable(file)} has a column for each class, which only a table of all parts may have: one with the "
            "images to train on, and a column split"
        )

    def both(row: TextRow) -> list[str]:
        return [row.fields[columns.file], row.fields[label]]

    return both(header), [both(row) for row in others]


def _known(images: Sequence[str]) -> dict[str, str]:
    """Return the images by the names that they may have in a label file."""
    stems = {composed(PurePosixPath(image).stem): image for image in images}
    return stems | {composed(image): image for image in images}


def _image(name: str, known: Mapping[str, str]) -> str | None:
    """Return the image that a label file names, with or without its folder."""
    return known.get(composed(PurePosixPath(name.replace("\\", "/")).name))


def _split(line: str, known: Mapping[str, str]) -> list[str] | None:
    """Split a line after the longest prefix that is an image's name, because both names may contain spaces.

    What follows the label after a tab, such as the position in the image, is left out.
    """
    for i in reversed([i for i, character in enumerate(line) if character.isspace()]):
        if _image(line[:i].rstrip(), known):
            return [line[:i].rstrip(), line[i:].strip().split("\t")[0]]
    return [line] if _image(line, known) else None


def _class_names(file: Path | Member, labels: list[str], classes: Sequence[str], order: Sequence[str]) -> list[str]:
    """Return the class names that the labels mean: all of them names, or all of them indices.

    Raises:
        DataError: both readings are possible, and they differ.
    """
    indices = {str(index): name for index, name in enumerate(sorted(classes))}
    are_names, are_indices = {*labels} <= {*classes}, {*labels} <= {*indices}
    if are_indices and are_names and any(indices[label] != label for label in labels):
        raise DataError(
            f"{printable(file)}: its labels can be read as names of classes and as indices of other classes. Write "
            "names that are not numbers, or name the class folders 0, 1, 2, ..., of equal length"
        )
    if are_names:
        return labels
    if are_indices and "0" not in labels:
        raise DataError(
            f"{printable(file)}: its labels are numbers and none of them is 0, so that they may count from 0 or "
            "from 1. Write names of classes"
        )
    if are_indices and {*order} == {*classes} and [*order] != [*indices.values()]:
        raise DataError(
            f"{printable(file)}: its labels are numbers, and a list of the classes that lies there is not sorted by "
            "name, so that they may count in either order. Write names of classes"
        )
    if are_indices:
        return [indices[label] for label in labels]
    if all(label.isdecimal() for label in labels):
        last = max(labels, key=lambda label: (len(label), label))
        raise DataError(
            f"{printable(file)} has the label {printable(last, 20)}, but its {len(indices)} classes have the indices "
            f"0 to {len(indices) - 1}"
        )
    if {*labels} & {*classes} and {*labels} & {*indices}:
        strange = sorted({*labels} - {*classes})
        raise DataError(
            f"{printable(file)} mixes names of classes and other labels ({_named(strange)}); use class names only"
        )
    return labels


def _in_order(file: Path | Member, names: list[str], images: Sequence[str], classes: Sequence[str]) -> list[str]:
    if all(name.isdecimal() for name in names) and not set(names) <= set(classes):
        raise DataError(
            f"{printable(file)} has bare numbers, and ILSVRC's do not follow the order of the folders; use {ALLOWED}"
        )
    if len(names) != len(images):
        raise DataError(
            f"{printable(file)} has {len(names):,} lines for {len(images):,} images; provide one class name per image, "
            "in the sorted order of the images"
        )
    counted = dict(zip(sorted(images, key=_as_counted), names, strict=True))
    if differs := next((image for image, name in zip(images, names, strict=True) if counted[image] != name), None):
        raise DataError(
            f"{printable(file)} has one label for each image, but their order can be read in two ways: 1, 10, 2 or 1, "
            f"2, 10; they differ for {printable(differs)}. Write a line `file label` for each image"
        )
    return names


def _as_counted(name: str) -> list[int | str]:
    """Return a key that sorts numbers in names by their value: words and numbers alternate."""
    return [int(word) if word.isdecimal() else word for word in re.split(r"(\d{1,18})", name, flags=re.ASCII)]


def _by_image(file: Path | Member, pairs: Iterable[list[str]], known: Mapping[str, str]) -> dict[str, str]:
    """Return the label of each image that the file names."""
    label_of, missing = {}, []
    for name, *label in pairs:
        image = _image(name, known)
        if not any(label):
            raise DataError(f"{printable(file)} has {name!r} without a label; write each line as `file label`")
        if image is None:
            missing.append(name)
        elif label_of.setdefault(image, label[0]) != label[0]:
            raise DataError(f"{printable(file)} has two labels for {printable(image)}; keep one")
    if missing:
        raise DataError(
            f"{printable(file)} names images that do not exist: {_named(missing)}. Add the images or remove the lines"
        )
    return label_of


def _named(images: Sequence[str]) -> str:
    return printable(images[0]) + (f" and {len(images) - 1:,} more" if len(images) > 1 else "")
