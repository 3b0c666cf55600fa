"""Columns of a table that are classes, with 0 or 1 or a share for each image; and its column of weights.

file,cat,dog,indoors
0001.jpg,1,0,1
0002.jpg,1,1,0
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from resnext.data.folders import Member
from resnext.data.labels.rows import TextRow
from resnext.errors import DataError, listed, printable

WEIGHTS = ("sample_weight", "image_weight")  # `weight` alone may be an animal's
CLOSE = 0.0101  # distance from 1 of the sum of the shares of an image: three times 0.33 is close
WORDS = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}


class ClassColumns(NamedTuple):
    """The columns that are classes, by position, and the share of each in each row, 0 to 1."""

    places: tuple[int, ...] = ()
    shares: dict[int, tuple[float, ...]] = {}  # by the numbers of the rows  # noqa: RUF012 - never changed
    several: bool = False  # whether an image may have any number of them


def find_class_columns(
    file: Path | Member, header: Sequence[str], rows: Sequence[TextRow], taken: set[int | None]
) -> ClassColumns:
    """Return two or more columns that hold only 0 and 1 (or -1 and 1), or shares that sum to 1 in every row.

    Args:
        file, header, rows: table.
        taken: columns that are something else.

    Raises:
        DataError: a column has 0, 1 and something for "unknown".
    """
    free = [place for place, name in enumerate(header) if name and place not in taken]
    values = {place: [_number(row.fields[place]) for row in rows] for place in free}
    shares = [place for place in free if all(_is_share(value) for value in values[place])]
    signs, flags = ([place for place in free if {*values[place]} <= allowed] for allowed in ({-1.0, 1.0}, {0.0, 1.0}))
    if not any(0.0 in values[place] for place in flags):
        flags = signs
    if len(shares) > 1 and rows:
        sums = [sum(values[place][i] for place in shares) for i in range(len(rows))]
        if all(abs(total - 1) <= CLOSE for total in sums):
            found = {row.number: tuple(values[place][i] / sums[i] for place in shares) for i, row in enumerate(rows)}
            return ClassColumns(tuple(shares), found)
    unknown = [place for place in free if place not in flags and _has_unknown([row.fields[place] for row in rows])]
    if len(flags) + len(unknown) < 2:
        return ClassColumns()
    if unknown:
        raise DataError(
            f"{printable(file)}: its column {printable(header[unknown[0]])} has values other than 0 and 1, such as "
            f"{_strange(rows, unknown[0])!r}; write 0 or 1 in each row, or remove the column"
        )
    found = {row.number: tuple(float(values[place][i] == 1) for place in flags) for i, row in enumerate(rows)}
    return ClassColumns(tuple(flags), found, several=True)


def find_weights(
    file: Path | Member, words: Sequence[str], rows: Sequence[TextRow]
) -> tuple[int | None, dict[int, float]]:
    """Return the column of weights of images and the weights by the numbers of the rows, or None and none.

    Args:
        file: table, for error messages.
        words: names of its columns as they are compared.
        rows: its rows.

    Raises:
        DataError: a weight is not a number from 0.
    """
    places = [place for place, name in enumerate(words) if name in WEIGHTS]
    if not places:
        return None, {}
    weights = {row.number: _number(row.fields[places[0]]) for row in rows}
    for row in rows:
        if not 0 <= weights[row.number] < math.inf:
            raise DataError(
                f"{printable(file)}: row {row.number} has the weight {printable(row.fields[places[0]])!r}; write a "
                "number from 0"
            )
    if rows and not any(weights.values()):
        raise DataError(f"{printable(file)}: all weights are 0; write a number above 0 for some images")
    return places[0], weights


def in_words(names: Sequence[str], several: bool) -> str:
    """Return the names of class columns for people."""
    return f"{listed(names)} ({'0 or 1' if several else 'shares'})"


def _number(value: str) -> float:
    """Return the number that a field is, 1 or 0 for yes or no, or NaN."""
    try:
        return WORDS[value.lower()] if value.lower() in WORDS else float(value)
    except ValueError:
        return math.nan


def _is_share(value: float) -> bool:
    return 0 <= value <= 1


def _has_unknown(values: Sequence[str]) -> bool:
    numbers = {_number(value) if value else None for value in values}
    return {1.0} < numbers <= {None, -1.0, 0.0, 1.0}


def _strange(rows: Sequence[TextRow], place: int) -> str:
    return next(row.fields[place] for row in rows if _number(row.fields[place]) not in (0.0, 1.0))
