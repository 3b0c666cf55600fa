"""The images of a data set before some are held out, and the split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from resnext.data.archive_members import Member
from resnext.data.class_folders import examples_of_folders, images_by_class, labelled, labels_of
from resnext.data.drawing import Draw, groups_of, held_out_mask
from resnext.data.examples import Examples, Splits
from resnext.data.folders import Folder, is_image_name, shown
from resnext.data.layout import LAYOUTS, PARTS, below, parts_of
from resnext.data.tables import Row, find_table, read_table, relative
from resnext.errors import ArgumentError, DataError, printable


class Pool(NamedTuple):
    """The images of a data set to train on, before some are held out; paths and groups in the same order."""

    train: Examples
    paths: Sequence[str]
    groups: Sequence[str] | None
    others: dict[str, Examples]  # "validation" and "test", where the data has them


def pool_of(root: Folder, table: Path | Member | None, group_by: str | None) -> Pool:
    """Return the images to train on, before some are held out, and the parts that the data itself has."""
    parts = parts_of(root)
    if table := table_of(root, parts, table):
        return pool_of_table(table, root, parts, group_by)
    if parts and "train" not in parts:
        others = [name for name, folder in shown(root).items() if folder and name.lower() not in PARTS]
        called = ", ".join(part.name for part in parts.values())
        hint = f". If {called} is a class, rename its folder, or move all classes into train/" if others else ""
        raise DataError(f"{printable(root)} has {called} but no train; training needs {LAYOUTS}{hint}")
    folder = parts.get("train", root)
    images = images_by_class(folder)
    train = examples_of_folders(images, tuple(images), root)
    paths = [relative(image, folder) for image in train.images]
    evaluated = {name: labelled(parts[name], root, train.classes) for name in parts if name != "train"}
    return Pool(train, paths, groups_of(paths, group_by) if group_by else None, evaluated)


def drawn_splits(pool: Pool, draw: Draw) -> Splits:
    """Hold out some of the images to train on. Raises DataError where none of them, or all of a class, would be."""
    train, paths = pool.train, pool.paths
    mask = held_out_mask(train.labels, pool.groups, draw)
    if not mask.any() and draw.folds:
        raise DataError(
            f"fold {draw.fold} of {draw.folds} is empty, for there are too few "
            f"{'images' if pool.groups is None else 'groups'} in a class; use fewer --folds"
        )
    if not mask.any():
        raise DataError(
            f"every class has one {'image' if pool.groups is None else 'group'} only, which leaves none to test on; "
            "add images: at least one class needs two"
        )
    if lost := sorted({*train.labels.tolist()} - {*train.labels[~mask].tolist()}):
        raise DataError(
            f"the class {train.classes[lost[0]]!r} would be held out as a whole, for its images are in few groups; "
            "draw by another --seed, or add images of other groups"
        )
    parts = [np.flatnonzero(kept).tolist() for kept in (~mask, mask)]
    kept, held_out = (Examples([train.images[i] for i in part], train.labels[part], train.classes) for part in parts)
    return Splits(kept, held_out, held_out, tuple(paths[i] for i in parts[1]))


def table_of(root: Folder, parts: dict[str, Folder], named: Path | Member | None) -> Path | Member | None:
    """Return the table that DATA names, or that of a folder whose training images are in no class folders."""
    if named:
        return named
    folder = parts.get("train", root)
    if parts and "train" not in parts:
        return None
    entries = shown(folder)
    folders = [entry for entry in entries.values() if entry]
    if folder is root and len(folders) == 1 and not any(map(is_image_name, entries)):
        entries, folders = shown(folders[0]), [entry for entry in shown(folders[0]).values() if entry]
    if folders or not any(map(is_image_name, entries)):
        return None
    return find_table(root) or (find_table(folder) if folder is not root else None)


def pool_of_table(table: Path | Member, root: Folder, parts: dict[str, Folder], group_by: str | None) -> Pool:
    """Return the images that a table labels, as `pool_of` does; parts beside it count where it has no splits."""
    rows = read_table(table, root, parts.get("train", root))
    by_part = _rows_by_part(table, rows)
    train = by_part.pop("train", [])
    if not train:
        raise DataError(
            f"{printable(table)} names no images to train on; write a row `file,label` for each, and in a column "
            "split, train for some"
        )
    classes = tuple(sorted({row.label for row in train}))
    examples = {part: _examples_of_rows(rows, classes, table) for part, rows in by_part.items()}
    if not examples:
        others = {part: folder for part, folder in parts.items() if part != "train"}
        examples = {part: labelled(folder, root, classes) for part, folder in others.items()}
    paths = [row.path for row in train]
    groups = [row.group or row.path for row in train] if any(row.group for row in rows) else None
    if groups and group_by:
        raise ArgumentError(f"--group-by: {printable(table)} has a column of groups already. Leave it out.")
    return Pool(
        _examples_of_rows(train, classes, table), paths, groups_of(paths, group_by) if group_by else groups, examples
    )


def count_unnamed(table: Path | Member, root: Folder, parts: dict[str, Folder]) -> int:
    """Return the number of images that a table does not name, in the folders of those that it names."""
    named = {PurePosixPath(row.path) for row in read_table(table, root, parts.get("train", root))}
    folders = {path.parent: below(root, path.parent.parts) for path in named}
    found = [path / name for path, folder in folders.items() if folder for name in shown(folder) if is_image_name(name)]
    return sum(path not in named for path in found)


def examples_of_table(table: Path | Member, root: Folder, parts: dict[str, Folder], classes: Sequence[str]) -> Examples:
    """Return the rows of the test split or, without one, of the validation split, or the parts beside it, or all."""
    by_part = _rows_by_part(table, read_table(table, root, parts.get("train", root)))
    others = parts.get("test") or parts.get("validation")
    if others and set(by_part) <= {"train"}:
        return labelled(others, root, classes)
    rows = by_part.get("test") or by_part.get("validation") or by_part.get("train", [])
    return _examples_of_rows(rows, classes, table)


def _rows_by_part(table: Path | Member, rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Sort the rows into the parts of a data set; where they have no split, all are training images.

    Raises:
        DataError: a split of another name, no training images, or a group that is in two parts.
    """
    by_part: dict[str, list[Row]] = {}
    part_of: dict[str, str] = {}
    for row in rows:
        part = PARTS.get(row.split.lower() or "train")
        if part is None:
            raise DataError(f"{printable(table)} has the split {row.split!r}; write train, val or test")
        by_part.setdefault(part, []).append(row)
        if row.group and part_of.setdefault(row.group, part) != part:
            raise DataError(
                f"{printable(table)} has the group {printable(row.group)} in {part_of[row.group]} and in {part}; a "
                "group belongs to one"
            )
    return by_part


def _examples_of_rows(rows: Sequence[Row], classes: Sequence[str], table: Path | Member) -> Examples:
    return Examples([row.image for row in rows], labels_of([row.label for row in rows], classes, table), tuple(classes))
