"""What a training is given that its caller leaves open: weights, network, size, folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from resnext.data.sizes import median_aspect
from resnext.errors import ArgumentError, MissingPackageError, WeightsError, one_line
from resnext.files import user_path
from resnext.recipes.naming import default_recipe
from resnext.recipes.recipe import Recipe
from resnext.runs.run import Run, is_run
from resnext.variants.default import Choice
from resnext.variants.layer_table import variant_shapes
from resnext.variants.variant import Variant
from resnext.weights.hub import find_file
from resnext.weights.load import check_weights
from resnext.weights.opened import open_weights
from resnext.weights.published import default_weights, smallest_weights

if TYPE_CHECKING:
    from resnext.data.examples import Splits
    from resnext.data.source import DataSource

AUTO = "auto"
RUNS = Path("runs")
LONG = 1.5  # a longer side over the shorter one, as of photos of 3:2
FEW_TO_LEARN = 10  # images of a class
FEW_TO_JUDGE = 50  # images


def find_weights(weights: str | Path | None, variant: Variant | None) -> tuple[str | None, list[str]]:
    """Return the weights that an argument stands for, and what there is to say about them.

    "auto" is the smallest published ResNeXt, or the default weights of a given network, and none at all where those
    cannot be had. A file becomes an absolute path, so that the run can be moved and resumed from elsewhere.
    """
    if weights is None:
        return None, []
    if str(weights) != AUTO:
        path = user_path(weights)
        return (str(path.resolve()) if path.exists() else str(weights)), []
    try:
        tag = default_weights(variant.name) if variant else smallest_weights()
        find_file(tag, variant)
    except (ArgumentError, WeightsError, MissingPackageError) as error:
        return None, [f"--weights auto: training from random weights instead: {one_line(error)}"]
    return tag, [f"--weights auto: {tag}"]


def from_scratch(recipe: Recipe) -> Recipe:
    """Return the default recipe without weights, with what the caller changed in the one for weights."""
    finetune, photos = default_recipe(AUTO), default_recipe(None)
    if recipe.name != finetune.name:
        return recipe
    before = dataclasses.asdict(finetune)
    return dataclasses.replace(
        photos, **{name: value for name, value in dataclasses.asdict(recipe).items() if value != before[name]}
    )


def network_of_weights(weights: str, variant: Variant | None, image_size: int | None) -> Choice:
    """Return the network of the weights, and the size they were made for.

    Raises:
        WeightsError: they cannot be used, are not of the variant, or of no network that is known.
    """
    with open_weights(weights, variant) as file:
        variant = variant or file.known_variant()
        check_weights(file, variant_shapes(variant, 3, variant.default_classes), variant, new_head=True)
        known = file.preprocessing()
    return Choice(variant, image_size or (known.size if known else variant.image_size))


def new_folder(source: DataSource, variant: Variant) -> Path:
    """Return runs/DATA-VARIANT-N, with the lowest N for which there is no such folder yet."""
    data = source.title
    number = 1
    while (folder := RUNS / f"{data}-{variant.name}-{number}").exists():
        number += 1
    return folder


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
