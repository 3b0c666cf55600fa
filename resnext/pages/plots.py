"""Plots of evaluations and of trainings. They need matplotlib, which is an extra."""

from __future__ import annotations

import importlib
import re
import textwrap
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resnext.errors import missing_package
from resnext.images.bands import as_shown
from resnext.metrics.calibration import calibration_error, reliability
from resnext.metrics.evaluation import ClassMetrics, Evaluation
from resnext.pages.fonts import drawable, families, legible

if TYPE_CHECKING:
    import numpy as np

    from resnext.metrics.several import AnyEvaluation, LabelMetrics

LEARNING_CURVES = "learning-curves.png"
CONFUSION_MATRIX = "confusion-matrix.png"
CLASS_ACCURACY = "class-accuracy.png"
CLASS_PRECISION = "class-precision.png"
WORST_MISTAKES = "worst-mistakes.png"

RELIABILITY = "reliability.png"
CAPTIONS = {
    LEARNING_CURVES: "By epoch; dashed on the training images, solid on the validation images.",
    CONFUSION_MATRIX: "A row for each true class, a column for each answer: the number of images, coloured by their "
    "share of the row.",
    CLASS_ACCURACY: "Highest first, with the number of images of the class.",
    CLASS_PRECISION: "Highest first, with the number of images of the class.",
    WORST_MISTAKES: "The highest losses first. The number is the probability of the answer.",
    RELIABILITY: "How often answers of a probability are right; below the diagonal, the network is too sure. A larger "
    "dot stands for more images.",
}

MATRIX_CLASSES = 1_000  # most for which the matrix is still legible
MISTAKES = 24  # on a sheet
COLUMNS, CELL, LETTERS = 4, 2.3, 34  # of a sheet: pictures in a row, inches of each, and letters of its lines
CLASSES = 50  # in a plot of accuracies: half of them the best and half the worst if there are more


Photo = Callable[[int], "tuple[str, np.ndarray]"]  # the name of an image, and the image
Picture = tuple[str, str, Callable[[Path], None]]  # title, file name, and the function that draws it


def pictures_of(evaluation: AnyEvaluation, photo: Photo) -> tuple[list[Picture], str | None]:
    """Return the available plots of an evaluation, and the reason why one is missing, if it is.

    Args:
        evaluation: evaluation of the images.
        photo: as in `draw_worst_mistakes`.
    """
    mistakes = ("Worst mistakes", WORST_MISTAKES, partial(draw_worst_mistakes, evaluation, photo))
    of_classes = partial(draw_class_accuracy, evaluation)
    if not isinstance(evaluation, Evaluation):
        return [("Average precision of each class", CLASS_PRECISION, of_classes), mistakes], None
    pictures: list[Picture] = [
        ("Confusion matrix", CONFUSION_MATRIX, partial(draw_confusion_matrix, evaluation)),
        ("Accuracy of each class", CLASS_ACCURACY, of_classes),
        mistakes,
    ]
    if len(evaluation.classes) > MATRIX_CLASSES:
        return pictures[1:], f"no confusion matrix of more than {MATRIX_CLASSES:,} classes"
    return pictures, None


def draw_all(folder: Path, pictures: Iterable[Picture]) -> tuple[dict[str, Path], str | None]:
    """Draw plots into a folder until one fails; return the files by title, and the reason why others are missing."""
    drawn = {}
    try:
        for title, name, draw in pictures:
            draw(folder / name)
            drawn[title] = folder / name
    except Exception as error:  # whatever it is, the numbers matter more
        return drawn, str(error)
    return drawn, None


def draw_learning_curves(rows: Sequence[Any], path: Path) -> None:
    """Plot loss and accuracy over the epochs, for training and validation; `rows` are those of a run in
    `draw_comparison`."""
    draw_comparison([("", [rows])], path)


def draw_comparison(groups: Sequence[tuple[str, Sequence[Sequence[Any]]]], path: Path) -> None:
    """Plot the curves of runs on top of each other: a colour for each group, dashed for training.

    Runs that differ in their seed only are a group: thin lines, their mean as a thick one, and a band from the lowest
    to the highest.

    Args:
        groups: name of each, and for each of its runs the rows of its epochs (`resnext.runs.history.EpochRow`).
        path: plot to write.
    """
    figure = _figure(width=9, height=3.6 + 0.2 * len(groups))
    for axes, metric, scale in zip(figure.subplots(1, 2), ("loss", "accuracy"), (1, 100), strict=True):
        for number, (name, runs) in enumerate(groups):
            for part, line in (("train", "--"), ("validation", "-")):
                look = {"color": f"C{number % 10}", "linestyle": line}
                column = f"{part}_{metric}"
                curves = [{row.epoch: scale * getattr(row, column) for row in rows} for rows in runs]
                _draw_group(axes, curves, f"{name}: {part}" if name else part, look)
        axes.set(xlabel="epoch", ylabel=metric if metric == "loss" else f"{metric} (%)")
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        if metric == "loss":
            ticker = _matplotlib("matplotlib.ticker")
            axes.set_yscale("log")  # the first epochs' loss is often a hundred times the last's
            axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter("")
        axes.grid(alpha=0.3)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    legend = figure.legend(handles, labels, loc="outside lower center", ncols=2)
    for text in legend.get_texts():
        text.set(**_plain([name for name, _ in groups]))
    figure.savefig(path, dpi=120)


def _draw_group(axes: Any, curves: Sequence[dict[int, float]], label: str, look: dict[str, Any]) -> None:
    """Draw the values of runs by epoch; of several runs also their mean and their range, where all have the epoch."""
    if len(curves) == 1:
        axes.plot([*curves[0]], [*curves[0].values()], marker=".", label=label, **look)
        return
    epochs = sorted(set.intersection(*({*curve} for curve in curves)))
    columns = [[curve[epoch] for curve in curves] for epoch in epochs]
    for curve in curves:
        axes.plot([*curve], [*curve.values()], linewidth=0.7, alpha=0.5, **look)
    axes.fill_between(epochs, [*map(min, columns)], [*map(max, columns)], color=look["color"], alpha=0.12, linewidth=0)
    means = [sum(values) / len(values) for values in columns]
    axes.plot(epochs, means, linewidth=2.4, label=f"{label}, mean and range of {len(curves)} seeds", **look)


def draw_confusion_matrix(evaluation: Evaluation, path: Path) -> None:
    """Plot which classes are mistaken for which, with a row for each true class, in % of its images."""
    counts = evaluation.confusion
    shares = 100 * counts / counts.sum(axis=1, keepdims=True).clip(1)
    names = legible(evaluation.classes) if len(counts) <= 100 else []  # of more, they would be too small to read
    side = min(4 + 0.35 * len(counts) + 0.07 * max(map(len, names), default=0), 40)
    figure = _figure(width=side + 1, height=side)
    axes = figure.subplots()
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    figure.colorbar(picture, label="% of the true class")
    axes.set(xlabel="predicted", ylabel="true", title=f"top-1 {100 * evaluation.top(1):.2f} %")
    if names:
        axes.set_xticks(range(len(counts)), names, rotation=90, **_plain(names))
        axes.set_yticks(range(len(counts)), names, **_plain(names))
    if len(counts) <= 25:
        for i, j in zip(*counts.nonzero(), strict=True):
            colour = "white" if shares[i, j] > 50 else "black"
            axes.text(j, i, str(counts[i, j]), ha="center", va="center", color=colour, fontsize=8)
    figure.savefig(path, dpi=120)


def draw_class_accuracy(evaluation: AnyEvaluation, path: Path) -> None:
    """Plot the accuracy of every class, best first; of several labels, the average precision.

    Of many classes, the best and the worst are plotted.
    """
    metric = "accuracy" if isinstance(evaluation, Evaluation) else "average precision"
    values = [(row.name, row.images, _of_class(row)) for row in evaluation.class_metrics() if row.images]
    rows = sorted(values, key=lambda row: (-row[2], row[0]))
    names = dict(zip(evaluation.classes, legible(evaluation.classes), strict=True))
    left_out = len(rows) - CLASSES
    if left_out > 0:
        rows = rows[: CLASSES // 2] + rows[-CLASSES // 2 :]
    figure = _figure(width=8, height=1.2 + 0.24 * len(rows))
    axes = figure.subplots()
    axes.barh(range(len(rows)), [100 * value for _, _, value in rows], color="tab:blue")
    labels = [f"{names[name]} ({images})" for name, images, _ in rows]
    axes.set_yticks(range(len(rows)), labels, **_plain(labels))
    axes.set(xlabel=f"{metric} (%)", xlim=(0, 100), ylim=(len(rows) - 0.4, -0.6))
    axes.grid(axis="x", alpha=0.3)
    if left_out > 0:
        axes.axhline(CLASSES // 2 - 0.5, color="grey", linestyle=":")
        axes.set_title(f"the best and the worst of {left_out + CLASSES} classes")
    figure.savefig(path, dpi=120)


def _of_class(row: ClassMetrics | LabelMetrics) -> float:
    """Return the accuracy of a class, or its average precision."""
    return row.recall if isinstance(row, ClassMetrics) else row.average_precision or 0.0


def draw_reliability(evaluation: Evaluation, temperature: float, path: Path) -> None:
    """Plot how often the network is right against its confidence (Guo et al. 2017, figure 1).

    Args:
        evaluation: evaluation of the images.
        temperature: temperature of `evaluation.calibrated`, drawn as a second line if it is not 1.
        path: plot to write.
    """
    figure = _figure(width=5, height=6.2)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    above.plot((0, 100), (0, 100), ":", color="grey")
    right = evaluation.right
    lines = [("as predicted", evaluation.probabilities)]
    lines += [(f"at temperature {temperature:.2f}", evaluation.calibrated)] if temperature != 1 else []
    for number, (name, probabilities) in enumerate(lines):
        bins = [each for each in reliability(probabilities, right) if each.images]
        error = 100 * calibration_error(probabilities, right)
        x, y = [100 * each.probability for each in bins], [100 * each.accuracy for each in bins]
        areas = [12 + 200 * each.images / len(right) for each in bins]  # no line: bins of few images would bend it
        label = f"{name}: expected calibration error {error:.2f} %"
        above.scatter(x, y, areas, clip_on=False, color=f"C{number}", alpha=0.7, label=label)
        below.bar(x, [each.images for each in bins], width=3, color=f"C{number}", alpha=0.6)
    above.set(ylabel="accuracy (%)", xlim=(0, 100), ylim=(0, 100))
    below.set(xlabel="probability of the predicted class (%)", ylabel="images")
    above.grid(alpha=0.3)
    legend = above.legend(loc="upper left", fontsize=8)
    for handle in legend.legend_handles:
        handle.set_sizes([36])
    figure.savefig(path, dpi=120)


def draw_worst_mistakes(evaluation: AnyEvaluation, photo: Photo, path: Path) -> None:
    """Plot the misclassified images with the highest loss.

    Args:
        evaluation: evaluation of the images.
        photo: function from an index to the name of an image and the image, uint8 (height, width, channels).
        path: plot to write.
    """
    mistakes = evaluation.mistakes()[:MISTAKES]
    used = {name for each in mistakes for given in (each.true, each.predicted) for name in (given, *given.split("; "))}
    numbers = {name: number for number, name in enumerate(evaluation.classes) if name in used}
    names = dict(zip(numbers, legible([*numbers], [*numbers.values()]), strict=True))
    pictures = []
    for mistake in mistakes:
        true, predicted = (_shown(given, names) for given in (mistake.true, mistake.predicted))
        name, image = photo(mistake.number)
        lines = (f"true {true}", f"answer {predicted}", f"{100 * mistake.probability:.0f} %  {drawable(name)}")
        pictures.append(("\n".join(lines), image))
    draw_sheet(pictures, path, without="no mistakes")


def _shown(given: str, names: dict[str, str]) -> str:
    """Return the class, or the several classes, of an image, each as it is shown."""
    return names[given] if given in names else "; ".join(names.get(name, name) for name in given.split("; "))


def draw_sheet(pictures: Sequence[tuple[str, np.ndarray]], path: Path, without: str = "no images") -> None:
    """Draw a contact sheet; long lines of a caption are wrapped, and cut after two.

    Args:
        pictures: caption of each picture, and its pixels, uint8 (height, width, channels).
        path: plot to write.
        without: text shown if there is no picture.
    """
    captions = [_wrapped(text) for text, _ in pictures]
    columns, most = max(1, min(COLUMNS, len(pictures))), max((text.count("\n") + 1 for text in captions), default=0)
    rows = -(-len(pictures) // columns)
    figure = _figure(width=CELL * max(2, columns), height=max(1, rows) * (CELL + 0.14 * most))
    if not pictures:
        figure.text(0.5, 0.5, without, ha="center")
    for place, (text, (_, pixels)) in enumerate(zip(captions, pictures, strict=True)):
        axes = figure.add_subplot(rows, columns, place + 1)
        axes.imshow(as_shown(pixels))
        axes.set_title(text, fontsize=7, loc="left", **_plain([text]))
        axes.set_axis_off()
        axes.set_anchor("NW")  # below the caption, which begins at the left of the cell
    figure.savefig(path, dpi=150)


class _Lines(textwrap.TextWrapper):
    """Breaks lines at spaces and after underscores."""

    wordsep_simple_re = re.compile(r"(\s+|(?<=_))")


def _wrapped(caption: str) -> str:
    """Return a caption whose lines fit into a cell."""
    lines = []
    for line in caption.split("\n"):
        parts = _Lines(LETTERS, break_on_hyphens=False).wrap(line) or [""]
        lines += [*parts[:1], shorten(" ".join(parts[1:]), LETTERS)] if len(parts) > 1 else parts
    return "\n".join(lines)


def draw_paths(strengths: np.ndarray, classes: Sequence[str], title: str, path: Path) -> None:
    """Plot how strongly each path responds to each class, relative to its mean over the classes.

    Args:
        strengths: mean strength of each path for the images of each class, float (classes, paths).
        classes: names of the classes.
        title: title of the plot.
        path: plot to write.
    """
    import numpy as np

    overall = strengths.mean(axis=0)
    ratios = np.log2(np.maximum(strengths, 1e-9) / np.maximum(overall, 1e-9))
    count, paths = strengths.shape
    width, height = min(5 + 0.24 * paths, 40), min(3.2 + 0.24 * count, 40)
    figure = _figure(width=width, height=height)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1.2, max(1.5, 0.24 * count)))
    above.bar(range(1, paths + 1), overall, color="tab:blue")
    above.set(ylabel="strength", title=title)
    limit = max(0.5, float(np.abs(ratios).max()))
    extent = (0.5, paths + 0.5, count - 0.5, -0.5)
    picture = below.imshow(ratios, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto", extent=extent)
    scale = figure.colorbar(picture, ax=below, label="times its mean")
    ticks = np.linspace(-limit, limit, 5)
    scale.set_ticks(ticks, labels=[f"{2**tick:.2f}" for tick in ticks])
    below.set(xlabel="path")
    if count <= 100:
        names = legible(tuple(classes))
        below.set_yticks(range(count), names, **_plain(names))
    if count <= 25 and paths <= 64:
        for i, j in np.ndindex(count, paths):
            text, colour = f"{2 ** ratios[i, j]:.2f}", "white" if abs(ratios[i, j]) > 0.6 * limit else "black"
            below.text(j + 1, i, text, ha="center", va="center", color=colour, fontsize=7 if paths <= 16 else 4)
    figure.savefig(path, dpi=150)


def colours(values: np.ndarray) -> np.ndarray:
    """Return colours, float (..., 3) from 0 to 255, for values from 0 to 1: dark to bright."""
    return 255 * _matplotlib("matplotlib").colormaps["inferno"](values)[..., :3]


def _plain(names: Sequence[str]) -> dict[str, Any]:
    """Return text options for names: fonts that can draw them, and no formulas, which $cash$ would become."""
    return {"parse_math": False, "fontfamily": families(names)}


def shorten(name: str, length: int) -> str:
    """Shorten a name so that it fits over a small image."""
    return name if len(name) <= length else f"{name[: length - 1]}…"


def _figure(width: float, height: float):
    return _matplotlib("matplotlib.figure").Figure(figsize=(width, height), layout="constrained")


def _matplotlib(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise missing_package("drawing plots", "matplotlib", "plots") from error
