"""Runs side by side."""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from resnext.errors import ArgumentError, OutputError
from resnext.files import user_path
from resnext.pages.plots import draw_comparison
from resnext.runs.config import RunConfig
from resnext.runs.history import EpochRow, History
from resnext.runs.run import Run

NAMED = 3  # runs of a group in the legend


@dataclass(frozen=True)
class RunSummary:
    """A run in one line, and its history."""

    name: str
    variant: str
    recipe: str
    parameters: int
    history: History
    config: RunConfig

    def __repr__(self) -> str:
        return f"RunSummary({self.name}: {self.variant}, {self.history!r})"


class Seeds(NamedTuple):
    """Runs that differ in their seed only: mean and sample standard deviation of their validation accuracies."""

    runs: tuple[str, ...]
    best: tuple[float, float]
    last: tuple[float, float]


def by_seed(summaries: Sequence[RunSummary]) -> list[Seeds]:
    """Return the groups of runs that differ in their seed only, those of one run left out."""
    groups: dict[str, list[RunSummary]] = {}
    for summary in summaries:
        config = summary.config
        same = dataclasses.replace(config, options=dataclasses.replace(config.options, seed=0))
        groups.setdefault(json.dumps(same.to_json(), sort_keys=True), []).append(summary)
    return [
        Seeds(
            tuple(run.name for run in runs),
            _mean_and_deviation(run.history.best.validation_accuracy for run in runs),
            _mean_and_deviation(run.history.last.validation_accuracy for run in runs),
        )
        for runs in groups.values()
        if len({run.config.options.seed for run in runs}) > 1
    ]


def _mean_and_deviation(values: Iterable[float]) -> tuple[float, float]:
    found = [*values]
    return statistics.mean(found), statistics.stdev(found)


def compare(runs: Iterable[str | Path], out: str | Path | None = None) -> list[RunSummary]:
    """Summarise runs in order, and plot their curves on top of each other.

    Args:
        runs: run folders; an unfinished run counts with its epochs so far.
        out: plot to write, .png or .svg; None draws none.

    Raises:
        ArgumentError, RunError: as their messages state.
        MissingPackageError: matplotlib, which a plot needs, is not installed.

    >>> [summary.history.best.epoch for summary in compare(["runs/first", "runs/second"])]  # doctest: +SKIP
    [19, 20]
    """
    out = None if out is None else user_path(out)
    if out and (out.suffix not in (".png", ".svg") or not out.parent.is_dir()):
        raise OutputError(f"{out}: can't be written; pass a .png or .svg file in an existing folder")
    folders = [user_path(run) for run in runs]
    if not folders:
        raise ArgumentError("no run was passed; pass one run folder or more")
    summaries = []
    for folder, name in zip(folders, _distinct(folders), strict=True):
        run = Run.open(folder)
        config = run.config
        parameters = config.cost.parameters
        summaries.append(RunSummary(name, config.network, config.recipe.name, parameters, run.history, config))
    if out:
        draw_comparison(_curves(summaries), out)
    return summaries


def _curves(summaries: Sequence[RunSummary]) -> list[tuple[str, list[Sequence[EpochRow]]]]:
    """Return the rows of runs by group: those that differ in their seed only are one."""
    groups = [(_name(group.runs), group.runs) for group in by_seed(summaries)]
    first = {name: first for first, names in groups for name in names}
    curves: dict[str, list[Sequence[EpochRow]]] = {}
    for summary in summaries:
        curves.setdefault(first.get(summary.name, summary.name), []).append(summary.history.rows)
    return [*curves.items()]


def _distinct(folders: list[Path]) -> list[str]:
    """Return the names of the folders, or their paths if two have the same name."""
    names = [folder.resolve().name for folder in folders]
    return names if len({*names}) == len(names) else [str(folder) for folder in folders]


def _name(runs: Sequence[str]) -> str:
    return ", ".join(runs) if len(runs) <= NAMED else f"{runs[0]} and {len(runs) - 1} more"
