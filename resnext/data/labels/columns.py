"""The columns of a table: found by what their names mean, and by whether their values are images, labels or parts."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from itertools import combinations
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from resnext.data.folders import Member, is_image_name
from resnext.data.labels.class_columns import ClassColumns, find_class_columns, find_weights
from resnext.data.labels.rows import TextRow
from resnext.data.parts import part_of
from resnext.errors import DataError, printable

# In the order of preference: a column of numbers may be called id, and names of files without a suffix look like it.
FILES = (
    "image_path", "img_path", "file_path", "filepath", "path", "image_file_path", "relative_path", "photo_path",
    "image_file", "img_file", "file", "image", "img", "picture", "photo", "src", "file_name", "filename", "fname",
    "image_name", "img_name", "image_index", "image_url",
)  # fmt: skip
NAMES = ("image_id", "imageid", "img_id", "photo_id", "id_code", "id", "name")
LABELS = (
    "label", "labels", "class", "classes", "class_name", "classname", "class_label", "label_name", "category",
    "category_name", "target", "species", "breed", "variety", "genus", "diagnosis", "dx", "disease", "finding",
    "findings", "finding_label", "finding_labels", "ground_truth", "groundtruth", "gt", "fine_label", "coarse_label",
    "sublabel", "subclass", "superclass", "tag", "class_id", "label_id", "category_id", "class_index",
    "label_index", "tags", "categories", "targets", "label_ids", "class_ids",
)  # fmt: skip
SPLITS = (
    "split", "set", "subset", "part", "phase", "usage", "partition", "data_split", "data_set", "dataset", "purpose",
    "train_test", "train_test_split",
)  # fmt: skip
GROUPS = ("group", "group_id")
# Columns of yes and no, and the parts that these mean. Others, such as `valid`, may say something else.
FLAGS = {
    name: parts
    for parts, names in (
        (("train", "test"), ("is_train", "is_training", "in_train")),
        (("test", "train"), ("is_test", "is_testing", "in_test", "test_set", "is_holdout", "holdout")),
        (("validation", "train"), ("is_valid", "is_val", "is_validation", "in_val")),
    )
    for name in names
}
YES_NO = {"1": 0, "true": 0, "yes": 0, "y": 0, "t": 0, "1.0": 0, "0": 1, "false": 1, "no": 1, "n": 1, "f": 1, "0.0": 1}
SAMPLE = 1_000  # rows, from all of the table, that decide whether the values of a column are images
PLURALS = {"images", "imgs", "pictures", "photos", "files", "paths", "filepaths", "filenames", "names", "ids"}


class Split(NamedTuple):
    """The columns of parts."""

    names: str  # of the columns, for people
    places: tuple[int, ...]
    parts: dict[int, str]  # by the numbers of the rows


class Columns(NamedTuple):
    """The positions of the columns that are read, or None; there are labels or class columns."""

    file: int
    label: int | None
    split: Split | None = None
    group: int | None = None
    classes: ClassColumns = ClassColumns()
    weight: int | None = None
    weights: dict[int, float] = {}  # by the numbers of the rows  # noqa: RUF012 - never changed

    def read(self) -> set[int]:
        """Return all positions."""
        single = {self.file, self.label, self.group, self.weight} - {None}
        return {place for place in single if place is not None} | {*self.split_places, *self.classes.places}

    @property
    def split_places(self) -> tuple[int, ...]:
        """The positions of the columns of parts."""
        return self.split.places if self.split else ()


def word(name: str) -> str:
    """Return a column's name as it is compared: lower case, with underscores, in the singular."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip("\ufeff \t"))
    plain = words.lower().replace(" ", "_").replace("-", "_")
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
    image, label = find_file_and_label(file, header, rows, find)
    if image is None and label is None and (classes := find_class_columns(file, header, rows, set()).places):
        image = _file_column(file, header, rows, find, {*classes})  # under any name
    if image is None:
        raise missing_column(file, header, image, label)
    split = find_split(file, header, rows, {image} if label is None else {image, label})
    group = _same_column(file, header, rows, _called(words, GROUPS), str.lower, "groups")
    weight, weights = find_weights(file, words, rows)
    found = Columns(image, label, split, group, ClassColumns(), weight, weights)
    if label is None:
        found = found._replace(classes=find_class_columns(file, header, rows, {*found.read()}))
        if not found.classes.places:
            raise missing_column(file, header, image, label)
    return found


def find_file_and_label(
    file: Path | Member, header: Sequence[str], rows: Sequence[TextRow], find: Callable[[str], Hashable | None]
) -> tuple[int | None, int | None]:
    """Return the columns for files and for labels, or None, as `find_columns` finds them. Raises DataError."""
    label = _label_column(file, header, rows, _called([word(name) for name in header], LABELS))
    if label is None and not has_files(header):
        return None, None
    return _file_column(file, header, rows, find, {label}), label


def find_split(file: Path | Member, header: Sequence[str], rows: Sequence[TextRow], taken: set[int]) -> Split | None:
    """Return the columns of parts: those whose values are names of parts, and those of yes and no that mean parts.

    Args:
        file, header, rows: as in `find_columns`.
        taken: the columns for files and labels.

    Raises:
        DataError: two of them differ, or one that is called after parts has names of parts and others.
    """
    free = [place for place in range(len(header)) if place not in taken and any(row.fields[place] for row in rows)]
    found = [(place, _parts_in(file, header[place], place, rows)) for place in free]
    read: list[tuple[tuple[int, ...], dict[int, str]]] = [((place,), parts) for place, parts in found if parts]
    flags = tuple(place for place in free if word(header[place]) in FLAGS and _are_flags(place, rows))
    if flags:
        read.append((flags, _parts_of_flags(file, header, flags, rows)))
    for places, parts in read[1:]:
        if parts != read[0][1]:
            raise _two_readings(file, header, read[0][0][0], places[0], "parts")
    places = read[0][0] if read else ()
    return Split(" and ".join(printable(header[place]) for place in places), places, read[0][1]) if read else None


def _parts_in(file: Path | Member, name: str, place: int, rows: Sequence[TextRow]) -> dict[int, str]:
    """Return the parts by the numbers of the rows that a column names; none if it is no column of parts."""
    part_in = {value: part_of(value) for value in {row.fields[place] for row in rows}}
    strange = {value for value, part in part_in.items() if part is None}
    is_called = word(name) in SPLITS and (len(strange - {""}) < len({*part_in} - {""}) or word(name) == "split")
    if strange and is_called:
        row = next(row for row in rows if row.fields[place] in strange)
        value = printable(row.fields[place])
        what = f"the {name} {value}; write train, val or test" if value else f"no {name}; complete it"
        raise DataError(f"{printable(file)}: row {row.number} has {what}")
    return {} if strange else {row.number: part_in[row.fields[place]] or "train" for row in rows}


def _are_flags(place: int, rows: Sequence[TextRow]) -> bool:
    return all(row.fields[place].lower() in YES_NO for row in rows)


def _parts_of_flags(
    file: Path | Member, header: Sequence[str], places: tuple[int, ...], rows: Sequence[TextRow]
) -> dict[int, str]:
    """Return the parts that columns of yes and no mean: that of the only yes in a row, or of the only column's no."""
    parts = {}
    for row in rows:
        answers = [(FLAGS[word(header[place])], YES_NO[row.fields[place].lower()]) for place in places]
        said = {part[0] for part, no in answers if not no} or {part[no] for part, no in answers}
        if len(said) != 1:
            names = " and ".join(printable(header[place]) for place in places)
            raise DataError(f"{printable(file)}: row {row.number} is in {len(said)} parts by its columns {names}")
        parts[row.number] = said.pop()
    return parts


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
    """Return the column whose values are images.

    Columns whose values look like names of image files come first, those called after files before others, which may
    be masks; then columns in which each value is the name of another image without its suffix. Of several, those that
    name no image at all do not count.
    """
    words = [word(name) for name in header]
    named = _called(words, FILES + NAMES)
    places = [*named, *(place for place in range(len(header)) if place not in {*taken, *named})]
    places = [place for place in places if place not in taken]
    sample = rows[:: max(1, len(rows) // SAMPLE)]
    like_files = [place for place in places if _is_mostly(sample, place, _looks_like_a_file)]
    counts = {place: sum(find(row.fields[place]) is not None for row in sample) for place in places}
    called = [place for place in like_files if words[place] in FILES]
    found = [place for place in called if counts[place]]
    if not found:  # by other paths, the same names
        found = [
            place for place in like_files if counts[place] and all(_same_name(sample, place, one) for one in called)
        ]
    if not like_files:
        full = [place for place in places if sample and counts[place] == len(sample) and header[place]]
        found = [place for place in full if place in named or _is_distinct(rows, place)]
        found = found if not named or {*named} & {*found} else []
    if found:
        return _same_column(file, header, rows, found, find, "images")
    return max(called or like_files or named, key=lambda place: counts[place], default=None)


def _looks_like_a_file(value: str) -> bool:
    return is_image_name(PurePosixPath(value.replace("\\", "/")).name)


def _same_name(rows: Sequence[TextRow], one: int, other: int) -> bool:
    names = [[PurePosixPath(row.fields[place].replace("\\", "/")).name for row in rows] for place in (one, other)]
    return names[0] == names[1]


def _is_mostly(rows: Sequence[TextRow], place: int, test: Callable[[str], bool]) -> bool:
    return 2 * sum(test(row.fields[place]) for row in rows) > len(rows)


def _is_distinct(rows: Sequence[TextRow], place: int) -> bool:
    return len({row.fields[place] for row in rows}) == len(rows)


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
        f"{' or '.join(missing)}; call one file (or image, path, id, ...) and one label (or class, category, ...), or "
        "write a column of 0 and 1 for each class, or of shares that sum to 1"
    )
