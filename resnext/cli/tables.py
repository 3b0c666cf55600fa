"""Tables on the terminal."""

from __future__ import annotations

import sys


def print_table(table) -> None:
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else 200, highlight=False).print(table)
