"""Pictures of a run. They need matplotlib, which is an extra."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from resnext.evaluate import Evaluation


class MissingPackageError(ImportError):
    """A function needs a package of an extra; the message says which and how to install it."""


def draw_learning_curves(rows: list[dict[str, float]], path: Path) -> None:
    """Loss and accuracy over the epochs, for training and validation."""
    figure = _figure(width=9, height=3.6)
    epochs = [row["epoch"] for row in rows]
    for axes, metric, scale in zip(figure.subplots(1, 2), ("loss", "accuracy"), (1, 100), strict=True):
        for part in ("train", "validation"):
            axes.plot(epochs, [scale * row[f"{part}_{metric}"] for row in rows], marker=".", label=part)
        axes.set(xlabel="epoch", ylabel=metric if metric == "loss" else f"{metric} (%)")
        axes.xaxis.get_major_locator().set_params(integer=True)
        if metric == "loss":
            axes.set_yscale("log")  # the first epochs' is often a hundred times the last's
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=120)


def draw_confusion_matrix(evaluation: Evaluation, path: Path) -> None:
    """Which classes were taken for which: a row for each true class, in % of its images."""
    counts = evaluation.confusion
    shares = 100 * counts / counts.sum(axis=1, keepdims=True).clip(1)
    side = min(4 + 0.35 * len(counts), 40)
    figure = _figure(width=side + 1, height=side)
    axes = figure.subplots()
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    figure.colorbar(picture, label="% of the true class")
    axes.set(xlabel="predicted", ylabel="true", title=f"top-1 {100 * evaluation.top(1):.2f} %")
    if len(counts) <= 100:  # names and numbers of more classes would be too small to read
        # A class called $cash$ is no formula.
        axes.set_xticks(range(len(counts)), evaluation.classes, rotation=90, parse_math=False)
        axes.set_yticks(range(len(counts)), evaluation.classes, parse_math=False)
    if len(counts) <= 25:
        for i, j in zip(*counts.nonzero(), strict=True):
            colour = "white" if shares[i, j] > 50 else "black"
            axes.text(j, i, str(counts[i, j]), ha="center", va="center", color=colour, fontsize=8)
    figure.savefig(path, dpi=120)


def _figure(width: float, height: float):
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise MissingPackageError("pictures need the package matplotlib: pip install 'resnext[plots]'") from error
    return Figure(figsize=(width, height), layout="constrained")
