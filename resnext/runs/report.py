"""The report of a run on one page: a file that opens anywhere and loads nothing else."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from resnext.data.photos import photo_of
from resnext.metrics.remarks import ON_THE_SAME, always, sentence
from resnext.pages import plots
from resnext.pages.html import classes_table, escape, pairs_table, picture, section, table, write_page
from resnext.recipes.recipe import changed
from resnext.runs.history import History
from resnext.runs.run import REPORT

if TYPE_CHECKING:
    from resnext.data.examples import Examples
    from resnext.metrics.several import AnyEvaluation
    from resnext.runs.config import RunConfig


def draw_report(
    folder: Path, config: RunConfig, history: History, test: AnyEvaluation, examples: Examples, chosen_on: bool
) -> tuple[tuple[Path, ...], str | None]:
    """Draw the plots of a run and write its page. A failure here does not affect the result.

    Args:
        folder: run folder.
        config: configuration of the run.
        history: rows of its epochs.
        test: evaluation of the last weights on the test images.
        examples: test images.
        chosen_on: whether they also chose the best epoch.

    Returns:
        The files written, and the reason why something is missing, if it is.
    """
    pictures, missing = plots.pictures_of(test, partial(photo_of, examples, config.preprocessing))
    curves = ("Learning curves", plots.LEARNING_CURVES, partial(plots.draw_learning_curves, history.rows))
    drawn, failed = plots.draw_all(folder, [curves, *pictures])
    missing = failed or missing
    try:
        write_report(folder / REPORT, config, history, test, chosen_on, drawn, missing)
    except Exception as error:  # whatever it is, the test result matters more
        missing = str(error)
        with contextlib.suppress(Exception):
            write_report(folder / REPORT, config, history, test, chosen_on, drawn, missing)
    return tuple(path for path in (*drawn.values(), folder / REPORT) if path.exists()), missing


def write_report(
    path: Path,
    config: RunConfig,
    history: History,
    test: AnyEvaluation,
    chosen_on: bool,
    images: dict[str, Path],
    missing: str | None = None,
) -> None:
    """Write the page of a run.

    Args:
        path: page to write.
        config: configuration of the run.
        history: rows of its epochs.
        test: evaluation of the last weights on the test images.
        chosen_on: whether the test images also chose the best epoch.
        images: .png files by title.
        missing: reason why plots are missing, if they are.
    """
    result = (
        f"{test.headline} on {len(test):,} test images after the last epoch; {history.best_in_words}"
        f"{f', {ON_THE_SAME}' if chosen_on else ''}. {sentence(always(test))}"
    )
    sections = [
        *(section(name, picture(name, file, plots.CAPTIONS[file.name])) for name, file in images.items()),
        section("Pictures", f"<p>{escape(missing)}</p>") if missing else "",
        section("Classes", classes_table(test)),
        section("Network and data", pairs_table(_facts(config, history))),
        section(f"Recipe: {config.recipe.name}", pairs_table(changed(config.recipe).items())),
        section("Epochs", f"<details><summary>{len(history)} rows</summary>{_epochs(history)}</details>"),
        section("Use it", f'<pre tabindex="0">{escape(_commands(path, config))}</pre>'),
    ]
    title = f"{config.network} on {Path(config.data).name}"
    write_page(path, title, result, sections)


def _facts(config: RunConfig, history: History) -> Iterable[tuple[str, object]]:
    size, cost = config.image_size, config.cost
    yield "variant", config.network
    yield "parameters", f"{cost.parameters:,}"
    yield "multiply-adds", f"{cost.multiply_adds:,} at {size} x {size}"
    yield "data", config.data
    yield "classes", f"{len(config.classes):,}"
    for field in dataclasses.fields(config.options):
        value = getattr(config.options, field.name)
        if field.name == "weights":
            yield "weights to start from", value or "random"
        elif field.name == "skip_bad" and value:
            yield (
                "unreadable images left out",
                f"at most {f'{value:g}' if value >= 1 else f'{100 * value:g} %'} of a part",
            )
        elif field.name in ("seed", "dtype") or value != field.default:
            yield field.name.replace("_", " "), value
    yield "time", f"{history.seconds:,.0f} s in {history.epochs} epochs"
    yield "versions", ", ".join(f"{name} {version}" for name, version in config.versions.items())


def _commands(path: Path, config: RunConfig) -> str:
    from shlex import quote

    run = quote(str(path.parent))
    return f"resnext evaluate {run} {quote(config.data)}\nresnext predict {run} IMAGE..."


def _epochs(history: History) -> str:
    names = [*history.last.numbers()]
    values = [[getattr(row, name) for name in names] for row in history.rows]
    rows = [[_cell(name, value) for name, value in zip(names, row, strict=True)] for row in values]
    return table([name.replace("_", " ") for name in names], rows, numbers=range(len(names)))


def _cell(name: str, value: float | None) -> str:
    """Return a value of an epoch as text: all metrics but the losses are shares."""
    if value is None:
        return ""
    is_share = name.startswith(("train_", "validation_")) and not name.endswith("loss")
    return f"{100 * value:.2f} %" if is_share else f"{value:.6g}"
