"""The columns of a table: found by what their names mean and, for files, by whether their values are images."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from resnext.data.folders import Member
from resnext.data.labels.rows import TextRow
from resnext.errors import DataError, printable

# In the order of preference: a column of numbers may be called id, and names of files without a suffix look like it.
FILES = (
    "image_path", "img_path", "file_path", "filepath", "path", "image_file", "img_file", "file", "image", "img",
    "picture", "photo", "file_name", "filename", "image_name", "img_name",
)  # fmt: skip
NAMES = ("image_id", "imageid", "img_id", "id", "name")
LABELS = (
    "label", "labels", "class", "classes", "class_name", "classname", "class_label", "label_name", "category",
    "category_name", "target", "species", "class_id", "label_id", "category_id",
)  # fmt: skip
SPLITS, GROUPS = ("split", "set", "subset", "part"), ("group", "group_id")
PLURALS = {"images", "imgs", "pictures", "photos", "files", "paths", "filepaths", "filenames", "names", "ids"}
SAMPLE = 20  # rows that decide whether the values of a column are images


class Columns(NamedTuple):
    """The positions of the columns that are read, or None."""

    file: int
    label: int
    split: int | None = None
    group: int | None = None


def word(name: str) -> str:
    """Return a column's name as it is compared: lower case, with underscores, in the singular."""
    plain = name.strip().lower().replace(" ", "_").replace("-", "_")
    return plain[:-1] if plain in PLURALS else plain


def has_files(header: Sequence[str]) -> bool:
    """Return whether a column is called after files."""
    return any(word(name) in FILES + NAMES for name in header)


def has_labels(header: Sequence[str]) -> bool:
    """Return whether a column is called after labels."""
    return any(word(name) in LABELS for name in header)


def find_columns(
    file: Path | Member, header: Sequence[str], rows: Sequence[TextRow], find: Callable[[str], Hashable | None]
) -> Columns:
    """Return the columns of a table.

    Args:
        file: file of the table, for error messages.
        header: names of its columns.
        rows: its rows.
        find: function from a value to the image that it names, or None.

    Raises:
        DataError: there is no column for files or for labels, or two columns are read differently.
    """
    words = [word(name) for name in header]
    label = _label_column(file, header, rows, _called(words, LABELS))
    if label is None and not has_files(header):
        raise missing_column(file, header)
    image = _file_column(file, header, rows, find, {label})
    if image is None or label is None:
        raise missing_column(file, header, image, label)
    split = _same_column(file, header, rows, _called(words, SPLITS), str.lower, "parts")
    group = _same_column(file, header, rows, _called(words, GROUPS), str.lower, "groups")
    return Columns(image, label, split, group)


def _called(words: Sequence[str], names: Sequence[str]) -> list[int]:
    """Return the columns that have one of the names, in the order of the names."""
    return [place for name in names for place, each in enumerate(words) if each == name]


def _file_column(
    file: Path | Member,
    header: Sequence[str],
    rows: Sequence[TextRow],
    find: Callable[[str], Hashable | None],
    taken: set[int | None],
) -> int | None:
    """Return the column whose values are images: one called after files or, if that has none, any other."""
    words = [word(name) for name in header]
    named = [_called(words, FILES), _called(words, NAMES)]
    others = [place for place in range(len(header)) if place not in {*taken, *named[0], *named[1]}]
    sample = rows[:SAMPLE]
    for places in (*named, others):
        full = [place for place in places if sample and all(find(row.fields[place]) for row in sample)]
        if full:
            return _same_column(file, header, rows, full, find, "images")
    counts = {place: sum(find(row.fields[place]) is not None for row in sample) for place in (*named[0], *named[1])}
    return max(counts, key=lambda place: counts[place], default=None)


def _label_column(
    file: Path | Member, header: Sequence[str], rows: Sequence[TextRow], places: Sequence[int]
) -> int | None:
    """Return the column of labels. Of several that tell the same images apart, one with words is preferred."""
    for one, other in combinations(places, 2):
        pairs = {(row.fields[one], row.fields[other]) for row in rows}
        if not len(pairs) == len({pair[0] for pair in pairs}) == len({pair[1] for pair in pairs}):
            raise _two_readings(file, header, one, other, "labels")
    words = [place for place in places if not all(row.fields[place].isdecimal() for row in rows)]
    return next(iter(words or places), None)


def _same_column(
    file: Path | Member,
    header: Sequence[str],
    rows: Sequence[TextRow],
    places: Sequence[int],
    read: Callable[[str], Hashable | None],
    what: str,
) -> int | None:
    """Return the first of the columns. Raises DataError if another one differs."""
    for other in places[1:]:
        if any(read(row.fields[places[0]]) != read(row.fields[other]) for row in rows):
            raise _two_readings(file, header, places[0], other, what)
    return next(iter(places), None)


def _two_readings(file: Path | Member, header: Sequence[str], one: int, other: int, what: str) -> DataError:
    return DataError(
        f"{printable(file)}: its columns {printable(header[one])!r} and {printable(header[other])!r} contradict each "
        f"other: they give different {what}; remove or rename the one to ignore"
    )


def missing_column(
    file: Path | Member, header: Sequence[str], image: int | None = None, label: int | None = None
) -> DataError:
    """Return the error for a table without a column for files, or without one for labels."""
    if not any(header):
        return DataError(f"{printable(file)} is empty; write a header `file,label`, and a row for each image")
    missing = [kind for kind, place in (("file", image), ("label", label)) if place is None]
    return DataError(
        f"{printable(file)} has the columns {', '.join(map(printable, header))} in its first line, and none for "
        f"{' or '.join(missing)}; call one file (or image, path, id, ...) and one label (or class, category, ...)"
    )
