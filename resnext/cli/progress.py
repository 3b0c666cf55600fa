"""A progress bar on standard error for commands that process images."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def bar(what: str, is_shown: bool = True) -> Iterator[Callable[[int, int | None], None]]:
    """Show a progress bar on a terminal, and nothing elsewhere.

    Args:
        what: name of the activity, such as "evaluating".
        is_shown: whether to show it: not if rows are printed to the same terminal.

    Yields:
        A function to call with the number of images done and, if known, the total.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    console = Console(stderr=True, force_terminal=sys.stderr.isatty())
    columns = (
        TextColumn(what),
        BarColumn(),
        TextColumn("{task.completed:,.0f} images"),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not (console.is_terminal and is_shown)) as shown:
        task = shown.add_task("", total=None, rate="")

        def done(images: int, total: int | None = None) -> None:
            speed = shown.tasks[0].speed
            shown.update(task, completed=images, total=total, rate=f"{speed:.1f} images/s" if speed else "")

        yield done
