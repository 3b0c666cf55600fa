"""Runs side by side: compare."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from tyro.conf import Positional

from resnext.cli.output import Format, printed
from resnext.cli.tables import print_line, print_table
from resnext.errors import RunError, printable
from resnext.runs.history import metric_in_words
from resnext.runs.run import Run

if TYPE_CHECKING:
    from resnext.runs.compare import RunSummary


def compare(
    runs: Annotated[Positional[tuple[Path, ...]], tyro.conf.arg(metavar="RUN...")],
    out: Path | None = None,
    format: Format = "table",
) -> None:
    """Compare runs side by side, and plot their curves on top of each other.

    Args:
        runs: run folders, finished or not.
        out: plot to write, .png or .svg.
        format: form of what is printed: table, json or csv.
    """
    from rich.table import Table

    from resnext.runs.compare import by_seed, compare

    runs, problems = _readable(runs)
    if problems and not runs:
        raise RunError("\n".join(problems))
    summaries = compare(runs, out)
    if printed(format, _document(summaries, out, problems), "runs"):
        _refuse(problems)
        return
    table = Table("run", "variant", "parameters", "recipe", "epochs", "best validation", "last", "seconds", box=None)
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
    if len(data := {run.config.data: run.name for run in summaries}) > 1:
        of_each = ", ".join(f"{name} {printable(path)}" for path, name in data.items())
        print_line(f"the data differ, so the metrics are those of different images: {of_each}")
    if out:
        print_line(f"plot: {out}")
    _refuse(problems)


def _refuse(problems: list[str]) -> None:
    if problems:
        raise RunError("\n".join(problems))


def _document(summaries: Sequence[RunSummary], out: Path | None, problems: list[str]) -> dict[str, Any]:
    """Return the comparison for programs."""
    from resnext.runs.compare import by_seed

    runs = []
    for run in summaries:
        best, last, name = run.history.best, run.history.last, run.history.best_by
        runs.append(
            {
                "run": run.name,
                "network": run.variant,
                "parameters": run.parameters,
                "recipe": run.recipe,
                "epochs": run.history.epochs,
                "best_by": name,
                "best_epoch": best.epoch,
                "best": best.metric(name),
                "last": last.metric(name),
                "seconds": run.history.seconds,
            }
        )
    names = ("best_mean", "best_deviation", "last_mean", "last_deviation")
    groups = [
        {"runs": group.runs, **dict(zip(names, (*group[1], *group[2]), strict=True))} for group in by_seed(summaries)
    ]
    return {"runs": runs, "groups": groups, "plot": out, "unreadable": problems}


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
