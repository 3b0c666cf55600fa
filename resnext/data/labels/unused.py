"""Tables that lie in a data folder and are not read: they must not contradict the labels that are read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from resnext.data.archives import read_text
from resnext.data.folders import Folder, Member, caseless, composed, is_image_name, is_table, shown
from resnext.data.labels.columns import find_file_and_label, find_split, has_files, has_labels
from resnext.data.labels.named_images import unique
from resnext.data.labels.tables import SUBMISSION, header_of, split_header
from resnext.data.parts import part_of
from resnext.errors import DataError, printable

Labels = Mapping[str, str]  # of each image, by its path below the data folder


def unused_tables(folders: list[Folder], used: set[str]) -> list[Path | Member]:
    """Return the tables about images in some folders, without those that are used."""
    files = [folder.file(name) for folder in folders for name, entry in shown(folder).items() if _is_file(name, entry)]
    return [file for file in files if str(file) not in used and _is_about_images(file)]


def check_agrees(table: Path | Member, labels: Labels, part: str, read: str) -> None:
    """Raise DataError if a table gives images different labels, or trains on images of another part.

    It may use other words for the classes, and may leave images out.

    Args:
        table: table that is not read.
        labels: label of each image of a part as it is read.
        part: "train", "validation" or "test".
        read: where those labels come from, for the error message.
    """
    other = _labels_in(table, labels, part)
    pairs = {(label, other[path]): path for path, label in labels.items() if path in other}
    words = {caseless(label) for label, _ in pairs}
    for label, others in [*pairs]:
        if caseless(others) in words and caseless(others) != caseless(label):  # the same words, exchanged
            raise _two_readings(pairs[label, others], label, others, read, table)
    for side in (0, 1):
        seen: dict[str, tuple[str, str]] = {}
        for pair in pairs:
            before = seen.setdefault(pair[side], pair)
            if before != pair:
                raise _two_readings(pairs[pair], *pair, read, table)


def _two_readings(path: str, label: str, other: str, read: str, table: Path | Member) -> DataError:
    return DataError(
        f"labels can be read in two ways: {printable(path)} is {printable(label)!r} by {read}, but "
        f"{printable(other)!r} in {printable(table)}. Pass the table as DATA to use its labels, or move it out of the "
        "folder"
    )


def _is_file(name: str, entry: Folder | None) -> bool:
    return entry is None and is_table(name)


def _is_about_images(file: Path | Member) -> bool:
    try:
        header = header_of(file)
    except DataError:  # it is not read
        return False
    return has_labels(header) or has_files(header)


def _labels_in(table: Path | Member, labels: Labels, part: str) -> dict[str, str]:
    """Return the label that a table has for each of the images; none if it can't be read, or has none.

    Raises:
        DataError: by its column of parts or by its name, one is for training and the images are not, or the other way
            round.
    """
    paths = [(PurePosixPath(path), path) for path in labels]
    names = unique((each, path) for name, path in paths for each in {name.name, name.stem, "/".join(name.parts[1:])})
    names |= {composed(path): path for path in labels}

    def find(value: str) -> str | None:
        return names.get(composed(value.replace("\\", "/")))

    stem = PurePosixPath(str(table)).stem
    if SUBMISSION in stem.lower():
        return {}
    try:
        header, rows = split_header(table, read_text(table))
        file, label = find_file_and_label(table, header, rows, find)
        if file is None:
            return {}
        split = find_split(table, header, rows, {file} if label is None else {file, label})
    except DataError:
        return {}
    found, part_of_table = {}, part_of(stem)
    for row in rows:
        path = find(row.fields[file])
        named = part_of_table if is_image_name(row.fields[file]) else None
        other = split.parts[row.number] if split else named or part
        if path and (other == "train") != (part == "train"):
            raise DataError(
                f"parts can be read in two ways: {printable(path)} is for {part} by its folder, but for {other} in "
                f"{printable(table)}. Pass the table as DATA to use its parts, or move it out of the folder"
            )
        if path and label is not None and row.fields[label]:
            found[path] = row.fields[label]
    return found
