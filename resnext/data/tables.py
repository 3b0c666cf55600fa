"""Training images that a CSV file labels: columns for the file, the label and, optionally, the split and the group.

file,label,split,group
photos/0001.jpg,cat,train,anna
photos/0002.jpg,dog,test,berta
"""

from __future__ import annotations

import csv
import functools
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from resnext.data.archives import read_text
from resnext.data.folders import Folder, Member, is_image_name, shown
from resnext.errors import DataError, printable

FILE_COLUMNS = ("file", "filename", "file_name", "image", "image_id", "imageid", "image_name", "path", "id", "name")
LABEL_COLUMNS = ("label", "labels", "class", "class_name", "classname", "category", "target", "species")
SPLIT_COLUMNS, GROUP_COLUMNS = ("split", "set", "subset", "part"), ("group", "group_id")
DELIMITERS = (",", ";", "\t")
# The file names of tables of training images; the first one that exists is used.
NAMES = ("train.csv", "train_labels.csv", "labels.csv", "metadata.csv")


class Row(NamedTuple):
    """An image of the table."""

    image: Path | Member
    path: str  # below the folder of the data
    label: str
    split: str  # as written in the table; "" without such a column
    group: str  # likewise


def rows_of(text: str) -> Iterator[list[str]]:
    """Yield the rows of a CSV text; the delimiter is the one of its first line."""
    first = text.split("\n", 1)[0]
    delimiter = max(DELIMITERS, key=first.count)
    for row in csv.reader(io.StringIO(text), delimiter=delimiter):
        if any(row):
            yield [value.strip() for value in row]


def file_and_label(header: Sequence[str]) -> tuple[int | None, int | None]:
    """Return the positions of the columns for files and for labels."""
    return find_column(header, FILE_COLUMNS), find_column(header, LABEL_COLUMNS)


def find_column(header: Sequence[str], names: Sequence[str]) -> int | None:
    """Return the position of the first column with one of the names."""
    return next((place for place, word in enumerate(header) if word.strip().lower() in names), None)


def find_table(folder: Folder) -> Path | Member | None:
    """Return the table of training images in a folder: by name or, if there is only one CSV file, that one.

    A CSV file without a column for labels, such as those of test images in competitions, does not count.
    """
    found = [name for name, entry in shown(folder).items() if entry is None and name.lower().endswith(".csv")]
    named = [name for wanted in NAMES for name in found if name.lower() == wanted]
    for name in named or (found if len(found) == 1 else []):
        if has_labels(folder.file(name)):
            return folder.file(name)
    return None


def names_only(file: Path | Member) -> bool:
    """Return whether a file is a CSV file with a column for files but none for labels, as for a competition's test/."""
    if not str(file).lower().endswith(".csv"):
        return False
    files, labels = file_and_label(_header(file))
    return files is not None and labels is None


def has_labels(file: Path | Member) -> bool:
    """Return whether the header of a CSV file has a column for files and one for labels."""
    return None not in file_and_label(_header(file))


def _header(file: Path | Member) -> list[str]:
    return next(rows_of(read_text(file)), [])


def read_table(file: Path | Member, root: Folder, folder: Folder) -> list[Row]:
    """Return the rows of a table, in the order of their paths.

    An image is named by its path below the data folder or, if unique among the training images, by its file name with
    or without the suffix.

    Args:
        file: CSV file with a header.
        root: data folder, to which the paths are relative.
        folder: folder in it with the training images.

    Raises:
        DataError: a column is missing, an image does not exist, or a row is incomplete or contradicts another.
    """
    header, *rows = [*rows_of(read_text(file))] or [[]]
    places = [*file_and_label(header), find_column(header, SPLIT_COLUMNS), find_column(header, GROUP_COLUMNS)]
    if None in places[:2]:
        raise missing_column(file, header)
    images = _Images(root, folder)
    found: dict[str, Row] = {}
    missing = []
    for number, row in enumerate(rows, start=2):
        name, label, split, group = (row[place] if place is not None and place < len(row) else "" for place in places)
        if not (name and label):
            raise DataError(f"{printable(file)}: row {number} has no {'label' if name else 'file'}; complete it")
        path, image = images.find(name)
        if image is None:
            missing.append(name)
            continue
        new = Row(image, path, label, split, group)
        if found.setdefault(path, new) != new:
            raise DataError(f"{printable(file)} has two different rows for {printable(path)}; keep one")
    if missing:
        raise DataError(
            f"{printable(file)}: {len(missing):,} of {len(rows):,} rows name an image that does not exist or is not "
            f"unique, the first of them {printable(missing[0])}; write paths from the folder of the table, or remove "
            "the rows"
        )
    return [found[path] for path in sorted(found)]


def missing_column(file: Path | Member, header: Sequence[str]) -> DataError:
    """Return the error for a table without a column for files, or without one for labels."""
    if not any(header):
        return DataError(f"{printable(file)} is empty; write a header `file,label`, and a row for each image")
    places = zip(("file", "label"), file_and_label(header), strict=True)
    missing = [kind for kind, place in places if place is None]
    return DataError(
        f"{printable(file)} has the columns {', '.join(header)} in its first line, and none for "
        f"{' or '.join(missing)}; call one file (or image, path, id, ...) and one label (or class, category, ...)"
    )


class _Images:
    """The images that a table may name; a folder is searched for names only when a path is not found."""

    def __init__(self, root: Folder, folder: Folder):
        self.root, self.folder = root, folder

    def find(self, name: str) -> tuple[str, Path | Member | None]:
        """Return the path and the file of an image; the file is None if it does not exist."""
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() and path.is_relative_to(str(self.root)):
            path = path.relative_to(str(self.root))
        is_inside = not path.is_absolute() and ".." not in path.parts
        if is_inside and is_image_name(path.name) and (image := self.root.find(path.as_posix())):
            return path.as_posix(), image
        image = self.by_name.get(path.name) if len(path.parts) == 1 else None  # in another folder it is another image
        return (relative(image, self.root), image) if image else ("", None)

    @functools.cached_property
    def by_name(self) -> dict[str, Path | Member]:
        """The training images by unique name, with and without suffix."""
        images = images_below(self.folder)
        pairs = [(name, image) for image in images for name in {Path(str(image)).name, Path(str(image)).stem}]
        counts = Counter(name for name, _ in pairs)
        return {name: image for name, image in pairs if counts[name] == 1}


def images_below(folder: Folder) -> list[Path | Member]:
    """Return the images below a folder. Links to folders are not followed, so the search terminates."""
    found = []
    for name, entry in shown(folder).items():
        if entry is None and is_image_name(name):
            found.append(folder.file(name))
        elif entry and not entry.is_link:
            found += images_below(entry)
    return found


def relative(image: Path | Member, root: Folder) -> str:
    """Return the path of an image below a folder, with slashes."""
    return PurePosixPath(str(image)).relative_to(str(root)).as_posix()
