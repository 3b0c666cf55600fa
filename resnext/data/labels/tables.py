"""Training images that a table labels: columns for the file, the label and, optionally, the split and the group.

file,label,split,group
photos/0001.jpg,cat,train,anna
photos/0002.jpg,dog,test,berta

An image may have several labels, "cat;dog", or a column of 0 and 1 for each class.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from resnext.data.archives import read_text
from resnext.data.folders import Folder, Member, caseless, is_table, shown
from resnext.data.labels.class_columns import find_class_columns, in_words
from resnext.data.labels.columns import Columns, find_columns, has_files, has_labels, missing_column, word
from resnext.data.labels.named_images import NamedImages
from resnext.data.labels.rows import LINE_END, TextRow, read_rows
from resnext.data.labels.several import separator_of
from resnext.data.parts import part_named, part_within
from resnext.errors import DataError, did_you_mean, listed, printable

# The file names of tables of training images; the first one that exists is used.
NAMES = ("train.csv", "train_labels.csv", "labels.csv", "metadata.csv")
SUBMISSION = "submission"  # in the name of a table with made-up labels, an example for a competition
TOP = 50  # lines of a file among which its header is


class Row(NamedTuple):
    """An image of the table."""

    image: Path | Member
    path: str  # below the folder of the data
    label: str  # as written; of class columns, the name of the only or the largest one
    part: str  # "train", "validation" or "test"; "train" without such a column
    group: str  # as written in the table; "" without such a column
    shares: tuple[float, ...] = ()  # of the class columns, unless each image has one class
    weight: float = 1.0  # of the image in training


class Table(NamedTuple):
    """The rows of a table in the order of their paths, and where they come from."""

    rows: list[Row]
    files: str  # name of the column
    labels: str  # likewise
    parts: str | None = None  # likewise; None if the folders of the images are the parts, or if there are none
    unused: Sequence[str] = ()  # names of the other columns
    classes: tuple[str, ...] = ()  # names of the class columns, if the rows have shares of them
    several: bool = False  # whether an image may have any number of them
    weights: str | None = None  # name of the column of weights
    incomplete: int | None = None  # number of the first row without a label, in a table of one label an image


def find_table(folder: Folder) -> Path | Member | None:
    """Return the table of training images in a folder: by name or, if there is only one, that one.

    A table without a column for labels, such as those of test images in competitions, does not count.
    """
    tables = [name for name, entry in shown(folder).items() if entry is None and is_table(name)]
    found = [name for name in tables if SUBMISSION not in name.lower()]
    named = [
        name for wanted in NAMES for name in found if PurePosixPath(name.lower()).with_suffix(".csv").name == wanted
    ]
    for name in named or (found if len(found) == 1 else []):
        if _is_labelled(folder.file(name)):
            return folder.file(name)
    return None


def names_only(file: Path | Member) -> bool:
    """Return whether a file is a table with a column for files but none for labels, as for a competition's test/."""
    return is_table(str(file)) and has_files(header_of(file)) and not _is_labelled(file)


def _is_labelled(file: Path | Member) -> bool:
    """Return whether a table has a column for labels, or a column for files and columns that are classes."""
    header, *rows = _top(file) or [TextRow(1, [])]
    if has_labels(header.fields) or not has_files(header.fields):
        return has_labels(header.fields)
    named = {place for place, name in enumerate(header.fields) if has_files([name])}
    return bool(find_class_columns(file, header.fields, rows, {*named}).places)


def header_of(file: Path | Member) -> list[str]:
    """Return the names of the columns of a table. Raises DataError if it can't be read as one."""
    rows = _top(file)
    return rows[0].fields if rows else []


def _top(file: Path | Member) -> list[TextRow]:
    """Return the header of a table and its first rows."""
    return read_rows(file, "\n".join(LINE_END.split(read_text(file), maxsplit=TOP)[:TOP]))


def read_table(file: Path | Member, root: Folder, folders: Sequence[Folder]) -> Table:
    """Return the rows of a table, in the order of their paths.

    An image is named by its path below the data folder or, if unique in one of the folders, by its file name with or
    without the suffix.

    Args:
        file: table with a header.
        root: data folder, to which the paths are relative.
        folders: folders in it with the images, those to train on first.

    Raises:
        DataError: a column is missing, an image does not exist, or a row is incomplete or contradicts another, or the
            folder of its image.
    """
    header, rows = split_header(file, read_text(file))
    images = NamedImages(root, folders)
    columns = find_columns(file, header, rows, images.find)
    found: dict[str, Row] = {}
    missing = []
    labelled = _Labelled(file, header, rows, columns)
    for row in rows:
        name, part, group = _fields(file, row, columns)
        place = images.find(name)
        if place is None:
            missing.append(name)
            continue
        new = Row(place[1], place[0], part=part, group=group, **labelled.of(row))
        if found.setdefault(new.path, new) != new:
            raise DataError(
                f"{printable(file)} has two different rows for {printable(new.path)}; keep one, and write several "
                "labels of an image as cat;dog"
            )
    if missing:
        raise DataError(
            f"{printable(file)}: {len(missing):,} of {len(rows):,} rows name an image that does not exist or is not "
            f"unique, the first of them {printable(missing[0])}; write paths relative to the folder of the table, "
            "or remove the rows"
        )
    named = [found[path] for path in sorted(found)]
    split = columns.split.names if columns.split else None
    unused = [name for place, name in enumerate(header) if name and place not in columns.read()]
    return Table(_in_parts(file, named, split), header[columns.file], parts=split, unused=unused, **labelled.facts)


def read_column(file: Path | Member, root: Folder, folders: Sequence[Folder], name: str) -> dict[str, str]:
    """Return the values of a column of a table, by the paths of the images.

    Args:
        file: table with a header.
        root: data folder, to which the paths are relative.
        folders: as in `read_table`.
        name: name of the column, in any case.

    Raises:
        DataError: the table has no such column.
    """
    header, rows = split_header(file, read_text(file))
    places = [place for place, each in enumerate(header) if caseless(each) == caseless(name)]
    if not places:
        named = [each for each in header if each]
        raise DataError(
            f"{printable(file)} has no column {printable(name)}.{did_you_mean(name, named)} Its columns are "
            f"{listed(named)}"
        )
    images = NamedImages(root, folders)
    columns = find_columns(file, header, rows, images.find)
    found = [(images.find(row.fields[columns.file]), row.fields[places[0]]) for row in rows]
    return {image[0]: value for image, value in found if image}


def _in_parts(file: Path | Member, rows: list[Row], split: str | None) -> list[Row]:
    """Return the rows with the parts whose folders hold the images, if they are in folders of several parts.

    Raises:
        DataError: the column of parts trains on an image in the folder of another part.
    """
    parts = {row.path: _part_of_path(row.path) for row in rows}
    if len({*parts.values()}) == 1 or not {*parts.values()} & {"validation", "test"}:
        return rows
    if split is None:
        return [row._replace(part=parts[row.path] or "train") for row in rows]
    for row in rows:
        if row.part == "train" and parts[row.path] in ("validation", "test"):
            raise DataError(
                f"parts can be read in two ways: {printable(row.path)} is for training by the column "
                f"{printable(split)} of {printable(file)}, but lies in a folder for {parts[row.path]}. Remove the "
                "column, or move the image"
            )
    return rows


def _part_of_path(path: str) -> str | None:
    """Return the part that the folders of an image name: one that is called so or, without it, with a word in it."""
    folders = path.split("/")[:-1]
    return next(filter(None, [*map(part_named, folders), *map(part_within, folders)]), None)


def split_header(file: Path | Member, text: str) -> tuple[list[str], list[TextRow]]:
    """Return the names of the columns of a table, and its other rows. Raises DataError if there are none."""
    first, *rows = read_rows(file, text) or [TextRow(1, [])]
    if not first.fields:
        raise missing_column(file, [])
    return first.fields, rows


def _fields(file: Path | Member, row: TextRow, columns: Columns) -> list[str]:
    """Return file, part and group of a row. Raises DataError if it has no file."""
    group = "" if columns.group is None else row.fields[columns.group]
    if not row.fields[columns.file]:
        raise DataError(f"{printable(file)}: row {row.number} has no file; complete it")
    return [row.fields[columns.file], columns.split.parts[row.number] if columns.split else "train", group]


class _Labelled:
    """The labels of the rows of a table: those of its column of labels, or the class columns."""

    def __init__(self, file: Path | Member, header: Sequence[str], rows: Sequence[TextRow], columns: Columns):
        self.columns, found = columns, columns.classes
        self.names = tuple(header[place] for place in found.places)
        # Where each image has exactly one class, this is a table of labels that is written in another way.
        self.is_one = all(max(shares) == 1 == sum(shares) for shares in found.shares.values())
        name = in_words(self.names, found.several) if columns.label is None else header[columns.label]
        self.facts = {
            "labels": name,
            "classes": () if self.is_one else self.names,
            "several": found.several and not self.is_one,
            "weights": None if columns.weight is None else header[columns.weight],
            "incomplete": None if columns.label is None else _first_without_label(file, name, columns.label, rows),
        }

    def of(self, row: TextRow) -> dict[str, Any]:
        """Return label, shares and weight of a row by their names."""
        weight, place = self.columns.weights.get(row.number, 1.0), self.columns.label
        if place is not None:
            return {"label": row.fields[place], "weight": weight}
        shares = self.columns.classes.shares[row.number]
        label = self.names[shares.index(max(shares))]
        return {"label": label, "shares": () if self.is_one else shares, "weight": weight}


def _first_without_label(file: Path | Member, name: str, place: int, rows: Sequence[TextRow]) -> int | None:
    """Return the number of the first row without a label in a table of one label an image, or None.

    Raises:
        DataError: the labels are lists as Python or JSON writes them.
    """
    values = {row.fields[place] for row in rows} - {""}
    if values and all(value.startswith("[") and value.endswith("]") for value in values):
        raise DataError(
            f"{printable(file)}: its labels look like lists, such as {printable(min(values))}; write several labels of "
            "an image as cat;dog"
        )
    without = next((row.number for row in rows if not row.fields[place]), None)
    return without if separator_of(values, word(name)) is None else None
