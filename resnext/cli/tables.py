"""Lines and tables on the terminal."""

from __future__ import annotations

import sys

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from resnext.errors import visible

SHORT = 16  # characters: a number and its unit stay together
LOG_WIDTH = 200  # characters, without a terminal


def print_line(text: str) -> None:
    """Print a line whose names from strangers do nothing to the terminal."""
    print(visible(text))


def print_table(table: Table) -> None:
    """Print a table without cutting words: a terminal that is too narrow wraps its lines."""
    is_terminal = sys.stdout.isatty()  # what CI systems set, such as FORCE_COLOR, makes no file a terminal
    console = Console(width=None if is_terminal else LOG_WIDTH, force_terminal=is_terminal, highlight=False)
    table.columns[0].no_wrap = True  # names and tags, which users copy
    needed = 0
    for column in table.columns:
        column._cells[:] = [visible(cell) if isinstance(cell, str) else cell for cell in column._cells]
        column.min_width = max(_longest(cell, column.no_wrap) for cell in (column.header, *column.cells))
        needed += column.min_width + 2
    console.width = max(console.width, needed)
    console.print(table)


def _longest(cell: object, is_whole: bool) -> int:
    """Return the width of a cell's longest word, or of the complete cell if it is short, in columns of the terminal."""
    text = Text.from_markup(str(cell)).plain
    return max(map(cell_len, [text] if is_whole or len(text) <= SHORT else text.split()))
