"""Commands that read a run: evaluate, predict, compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional

from resnext.cli.tables import print_table
from resnext.errors import ArgumentError, RunError
from resnext.runs.run import Run

Weights = Literal["best", "last"]


def evaluate(
    run: Annotated[Positional[Path], tyro.conf.arg(metavar="RUN")],
    data: Annotated[Positional[str], tyro.conf.arg(metavar="DATA")],
    weights: Weights = "best",
    batch_size: int = 64,
    follow_links: tyro.conf.FlagCreatePairsOff[bool] = False,
) -> None:
    """Evaluate a trained network on labelled images.

    Args:
        run: run folder.
        data: folder with test/ or val/, or with class folders; or digits, cifar10, cifar100.
        weights: weights of the best or the last epoch.
        batch_size: images in a batch.
        follow_links: read images through links that lead out of the folder of the data.
    """
    from resnext.runs.evaluate import evaluate

    evaluation = evaluate(run, data, weights=weights, batch_size=batch_size, follow_links=follow_links)
    shown = {int(label) for label in evaluation.labels}
    absent = [name for i, name in enumerate(evaluation.classes) if i not in shown]
    if absent:
        names = ", ".join(absent[:10]) + (f" and {len(absent) - 10:,} more" if len(absent) > 10 else "")
        print(f"no images of {len(absent):,} of {len(evaluation.classes):,} classes: {names}")
    print(f"top-1 {100 * evaluation.top(1):.2f} %")
    if len(evaluation.classes) > 5:
        print(f"top-5 {100 * evaluation.top(5):.2f} %")
    print(f"loss {evaluation.loss:.4f}, {len(evaluation.labels)} images, {weights} weights")


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

    from resnext.runs.compare import compare

    runs, problems = _readable(runs)
    if problems and not runs:
        raise RunError("\n".join(problems))
    table = Table("run", "variant", "parameters", "recipe", "epochs", "best validation", "last", "seconds", box=None)
    for run in compare(runs, out):
        best, last = run.history.best, run.history.last
        table.add_row(
            run.name,
            run.variant,
            f"{run.parameters / 1e6:.2f} M",
            run.recipe,
            f"{run.history.epochs}",
            f"{100 * best.validation_accuracy:.2f} % (epoch {best.epoch})",
            f"{100 * last.validation_accuracy:.2f} %",
            f"{run.history.seconds:.0f}",
        )
    print_table(table)
    if out:
        print(f"plot: {out}")
    if problems:
        raise RunError("\n".join(problems))


def _readable(runs: tuple[Path, ...]) -> tuple[tuple[Path, ...], list[str]]:
    """Return the runs that have a history, and why the others have none."""
    readable, problems = [], []
    for run in runs:
        try:
            Run.open(run).history  # noqa: B018
            readable.append(run)
        except RunError as error:
            problems.append(str(error))
    return tuple(readable), problems


def predict(
    run: Annotated[Positional[Path], tyro.conf.arg(metavar="RUN")],
    images: Annotated[Positional[tuple[Path, ...]], tyro.conf.arg(metavar="IMAGE...")],
    top: int = 5,
    weights: Weights = "best",
) -> None:
    """Print the most probable classes of images.

    Args:
        run: run folder.
        images: image files.
        top: number of classes to print.
        weights: weights of the best or the last epoch.
    """
    from resnext.runs.predict import predict

    if not images:
        raise ArgumentError("no image was passed; usage: resnext predict RUN IMAGE...")
    for image, classes in predict(run, images, top=top, weights=weights):
        print(f"{image}: " + ", ".join(f"{name} {100 * probability:.2f} %" for name, probability in classes))
