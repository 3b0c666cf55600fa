"""Runs side by side: compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from resnext.cli.tables import print_line, print_table
from resnext.errors import RunError
from resnext.runs.history import metric_in_words
from resnext.runs.run import Run


def compare(
    runs: Annotated[Positional[tuple[Path, ...]], tyro.conf.arg(metavar="RUN...")],
    out: Path | None = None,
) -> None:
    """Compare runs side by side, and plot their curves on top of each other.

    Args:
        runs: run folders, finished or not.
        out: plot to write, .png or .svg.
    """
    from rich.table import Table

    from resnext.runs.compare import by_seed, compare

    runs, problems = _readable(runs)
    if problems and not runs:
        raise RunError("\n".join(problems))
    table = Table("run", "variant", "parameters", "recipe", "epochs", "best validation", "last", "seconds", box=None)
    summaries = compare(runs, out)
    for run in summaries:
        best, last = run.history.best, run.history.last
        table.add_row(
            run.name,
            run.variant,
            f"{run.parameters / 1e6:.2f} M",
            run.recipe,
            f"{run.history.epochs}",
            f"{metric_in_words(best, run.history.best_by)} (epoch {best.epoch})",
            metric_in_words(last, run.history.best_by),
            f"{run.history.seconds:.0f}",
        )
    print_table(table)
    for group in by_seed(summaries):
        best, last = (f"{100 * mean:.2f} % (deviation {100 * spread:.2f})" for mean, spread in group[1:])
        print_line(f"{len(group.runs)} seeds, {', '.join(group.runs)}: best validation {best}, last {last}")
    if out:
        print_line(f"plot: {out}")
    if problems:
        raise RunError("\n".join(problems))


def _readable(runs: tuple[Path, ...]) -> tuple[tuple[Path, ...], list[str]]:
    """Return the runs that have a history, and the reasons why the others have none."""
    readable, problems = [], []
    for run in runs:
        try:
            Run.open(run).history  # noqa: B018
            readable.append(run)
        except RunError as error:
            problems.append(str(error))
    return tuple(readable), problems
