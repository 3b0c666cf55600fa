"""What there is to say about the images of a training before it begins."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from resnext.data.sizes import median_aspect
from resnext.recipes.recipe import Recipe
from resnext.runs.run import Run, is_run

if TYPE_CHECKING:
    from resnext.data.examples import Splits
    from resnext.data.source import DataSource

LONG = 1.5  # a longer side over the shorter one, as of photos of 3:2
FEW_TO_LEARN = 10  # images of a class
FEW_TO_JUDGE = 50  # images


def about_shapes(sizes: Sequence[tuple[int, int]], fit: str) -> list[str]:
    """Return what there is to say about long images, of which a crop of the centre keeps too little."""
    aspect = median_aspect(sizes)
    if fit != "crop" or aspect <= LONG:
        return []
    return [
        f"long images: half of them are at least {aspect:.1f} times as long as wide, and only their centre is "
        "evaluated; --fit squash or --fit pad keeps them whole"
    ]


def about_few(splits: Splits, is_tuning: bool) -> list[str]:
    """Return what there is to say about a set that is too small to learn from, or to judge on.

    Args:
        splits: images of the training.
        is_tuning: whether weights to start from were asked for.
    """
    said, train, validation = [], splits.train, splits.validation
    counts = np.bincount(train.labels, minlength=len(train.classes))
    if few := int((counts < FEW_TO_LEARN).sum()):
        advice = "add photos" if is_tuning else "add photos, or start from published weights (--weights auto)"
        said.append(
            f"few images: fewer than {FEW_TO_LEARN} to train on for {few:,} of {len(counts):,} classes, the fewest "
            f"{train.classes[counts.argmin()]!r} with {counts.min()}; {advice}"
        )
    if len(validation) < FEW_TO_JUDGE:
        said.append(
            f"few images: {len(validation)} to evaluate on, so one of them is {100 / len(validation):.1f} points of "
            "accuracy"
        )
    without = np.flatnonzero(np.bincount(validation.labels, minlength=len(validation.classes)) == 0)
    if len(without):
        said.append(
            f"few images: none to evaluate on for {len(without):,} of {len(counts):,} classes, the first "
            f"{validation.classes[without[0]]!r}"
        )
    return said


def about_weights(start: str | None, recipe: Recipe, source: DataSource, splits: Splits) -> list[str]:
    """Return what there is to say about the run that weights come from: its data, and how it fits images."""
    folder = Path(start or "")
    folder = folder.parent if folder.is_file() else folder
    if not start or not is_run(folder):
        return []
    said, run = [], Run.open(folder)
    if run.config.preprocessing.fit != recipe.fit:
        fit = run.config.preprocessing.fit
        said.append(f"weights: trained with --fit {fit}, and this is --fit {recipe.fit}")
    seen = {*splits.held_out} - {*run.held_out} if run.config.data == source.name else ()
    if seen:
        said.append(
            f"weights: trained on {len(seen):,} of the {len(splits.held_out):,} images that are held out now; to hold "
            f"out the same as that run, pass its --seed {run.config.options.seed}, --held-out, --folds and --group-by"
        )
    return said
