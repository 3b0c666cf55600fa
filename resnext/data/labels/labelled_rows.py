"""Examples from the rows of a table: one label an image, several, or shares of the classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from resnext.data.class_folders import labels_of
from resnext.data.examples import Examples, of_shares
from resnext.data.labels.columns import word
from resnext.data.labels.several import parts_of, separator_of
from resnext.data.labels.tables import Row, Table
from resnext.errors import DataError, printable


def separator_in(table: Table, known: Sequence[str] = ()) -> str | None:
    """Return the separator of several labels in a table, or None; `known` are the classes of a network."""
    if table.classes:
        return None
    return separator_of({row.label for row in table.rows}, word(table.labels), known)


def classes_of_rows(table: Table, rows: Sequence[Row], where: object) -> tuple[str, ...]:
    """Return the classes of some rows of a table, sorted by name; class columns are classes without images, too.

    Raises:
        DataError: each image has one label, and one has none.
    """
    if table.incomplete:
        raise DataError(
            f"{printable(where)}: row {table.incomplete} has no label; complete it, or separate labels by ; if images "
            "may have several, or none"
        )
    separator = separator_in(table)
    names = table.classes or {part for row in rows for part in parts_of(row.label, separator)}
    return tuple(sorted(names))


def examples_of_rows(
    table: Table, rows: Sequence[Row], classes: Sequence[str], where: object, known: Sequence[str] = ()
) -> Examples:
    """Return the images of some rows.

    Args:
        table: table of the rows.
        rows: rows to read.
        classes: names by which they are labelled.
        where: table, for error messages.
        known: the same names, if they are the classes of a network and may tell how labels are separated.

    Raises:
        DataError: a row has a label that is not among the classes.
    """
    images, separator = [row.image for row in rows], separator_in(table, known)
    if table.classes:
        shares = np.zeros((len(rows), len(classes)), np.float32)
        shares[:, labels_of(table.classes, classes, where)] = [row.shares for row in rows]
        examples = of_shares(images, shares, classes, table.several)
    elif separator or (table.incomplete and known):  # a network for several labels may have images without any
        examples = of_shares(images, _has_each(rows, separator, classes, where), classes, several=True)
    else:
        examples = Examples(images, labels_of([row.label for row in rows], classes, where), tuple(classes))
    weights = np.array([row.weight for row in rows], np.float32) if table.weights else None
    return dataclasses.replace(examples, weights=weights)


def _has_each(rows: Sequence[Row], separator: str | None, classes: Sequence[str], where: object) -> np.ndarray:
    """Return 1 for each label of each row, float32 (rows, classes)."""
    names = [parts_of(row.label, separator) for row in rows]
    places = np.repeat(np.arange(len(rows)), [len(each) for each in names])
    shares = np.zeros((len(rows), len(classes)), np.float32)
    shares[places, labels_of([name for each in names for name in each], classes, where)] = 1
    return shares


def about_reading(table: Table) -> list[str]:
    """Return lines on how a table's labels are read, unless each image has one."""
    lines, separator = [], separator_in(table)
    if separator:
        mark = "a blank" if separator == " " else repr(separator)
        lines.append(f"labels: several for an image, separated by {mark} in the column {printable(table.labels)}")
    elif table.several:
        lines.append("labels: several for an image, 1 in the column of each class that it has")
    elif table.classes:
        lines.append("labels: shares of the classes, which sum to 1 for each image")
    if table.weights:
        lines.append(f"weights: those of the images in training are in the column {printable(table.weights)}")
    return lines


def as_several(examples: Examples, several: bool, who: str, data: object) -> Examples:
    """Return examples as a network reads them that predicts any number of classes, or one.

    Raises:
        DataError: images have several labels, or shares of classes, for a network that predicts one.
    """
    if several and not examples.several:  # of shares, the largest is the class
        return of_shares(examples.images, examples.has().astype(np.float32), examples.classes, several=True)
    if examples.several and not several:
        raise DataError(
            f"{printable(data)} has images with several labels, or without one, and {printable(who)} predicts one "
            "class. Pass data with one label each, or a model that was trained on several"
        )
    return examples


def relabelled(examples: Examples, classes: Sequence[str], where: object) -> Examples:
    """Return examples labelled by other classes. Raises DataError if one of theirs is not among them."""
    places = labels_of(examples.classes, classes, where)
    if examples.shares is None:
        return dataclasses.replace(examples, labels=places[examples.labels], classes=tuple(classes))
    shares = np.zeros((len(examples), len(classes)), np.float32)
    shares[:, places] = examples.shares
    moved = of_shares(examples.images, shares, classes, examples.several)
    return dataclasses.replace(moved, weights=examples.weights)


def together(parts: Sequence[Examples]) -> Examples:
    """Return the images of several parts with the same classes as one."""
    first = parts[0]
    images = [image for part in parts for image in part.images]
    if all(part.shares is None for part in parts):
        return Examples(images, np.concatenate([part.labels for part in parts]), first.classes)
    shares = np.concatenate([part.targets() for part in parts])
    return of_shares(images, shares, first.classes, any(part.several for part in parts))
