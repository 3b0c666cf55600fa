"""Tables that lie in a data folder and are not read: they must not contradict the labels that are read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from resnext.data.archives import read_text
from resnext.data.folders import Folder, Member, composed, is_table, shown
from resnext.data.labels.columns import find_columns, has_labels
from resnext.data.labels.tables import header_of, split_header, unique
from resnext.errors import DataError, printable

Labels = Mapping[str, str]  # of each image, by its path below the data folder


def unused_tables(folders: list[Folder], used: object) -> list[Path | Member]:
    """Return the tables with a column of labels in some folders, without the one that is used."""
    files = [folder.file(name) for folder in folders for name, entry in shown(folder).items() if _is_file(name, entry)]
    return [file for file in files if str(file) != str(used) and _has_labels(file)]


def check_agrees(table: Path | Member, labels: Labels, read: str) -> None:
    """Raise DataError if a table gives images different labels.

    It may use other words for the classes, and may leave images out.

    Args:
        table: table that is not read.
        labels: label of each image as it is read.
        read: where those labels come from, for the error message.
    """
    other = _labels_in(table, labels)
    pairs = {(label, other[path]): path for path, label in labels.items() if path in other}
    for side in (0, 1):
        seen: dict[str, tuple[str, str]] = {}
        for pair in pairs:
            before = seen.setdefault(pair[side], pair)
            if before != pair:
                raise DataError(
                    f"labels can be read in two ways: {printable(pairs[pair])} is {printable(pair[0])!r} by {read}, "
                    f"but {printable(pair[1])!r} in {printable(table)}. Pass the table as DATA to use its labels, or "
                    "move it out of the folder"
                )


def _is_file(name: str, entry: Folder | None) -> bool:
    return entry is None and is_table(name)


def _has_labels(file: Path | Member) -> bool:
    try:
        return has_labels(header_of(file))
    except DataError:  # it is not read
        return False


def _labels_in(table: Path | Member, labels: Labels) -> dict[str, str]:
    """Return the label that a table has for each of the images; none if it can't be read."""
    paths = [(PurePosixPath(path), path) for path in labels]
    names = unique((each, path) for name, path in paths for each in {name.name, name.stem, "/".join(name.parts[1:])})
    names |= {composed(path): path for path in labels}

    def find(value: str) -> str | None:
        return names.get(composed(value.replace("\\", "/")))

    try:
        header, rows = split_header(table, read_text(table))
        columns = find_columns(table, header, rows, find)
    except DataError:
        return {}
    found = ((find(row.fields[columns.file]), row.fields[columns.label]) for row in rows)
    return {path: label for path, label in found if path and label}
