"""Comma-separated values with names from strangers: a spreadsheet must not compute them, nor a terminal obey them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from typing import IO, TypeVar

from resnext.errors import CONTROLS

FORMULAS = ("=", "+", "-", "@")  # begin a formula in a spreadsheet
T = TypeVar("T")


class CsvTable:
    """A table of comma-separated values, whose cells are all `safe`.

    Args:
        text: stream to write it to.
        columns: their names, which are written first.
    """

    def __init__(self, text: IO[str], columns: Sequence[str]):
        self.columns = columns
        self._writer = csv.writer(text, lineterminator="\n")
        self._writer.writerow(columns)

    def write(self, row: Sequence[object]) -> None:
        """Write a row, with a cell for each column."""
        self._writer.writerow([safe(cell, column) for cell, column in zip(row, self.columns, strict=True)])


def safe(cell: T, column: str = "") -> T | str:
    r"""Return a cell whose text is no formula and has no control characters.

    A path that looks like a formula begins with "./", which does not change what it names; other text begins with a
    quotation mark, as in spreadsheets. Control characters are escaped. Numbers stay as they are.

    Args:
        cell: text, number or None.
        column: name of the column; "image" is one of paths.

    >>> safe("=1+1"), safe("-rf.png", "image"), safe("a\x1b[2Jb"), safe(-0.5)
    ("'=1+1", './-rf.png', 'a\\x1b[2Jb', -0.5)
    """
    if not isinstance(cell, str):
        return cell
    text = cell.translate(CONTROLS)
    if not text.lstrip().startswith(FORMULAS):
        return text
    return f"./{text}" if column == "image" else f"'{text}"
