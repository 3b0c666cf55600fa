"""Defaults for what the caller of `train` leaves open: weights, network, size, folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resnext.data.folders import composed
from resnext.errors import ArgumentError, MissingPackageError, WeightsError, one_line
from resnext.files import numbered, user_path
from resnext.recipes.complete import CompleteRecipe
from resnext.recipes.names import default_recipe
from resnext.recipes.recipe import Recipe
from resnext.runs.run import Run, open_run_of
from resnext.variants.choose import Choice
from resnext.variants.layer_table import variant_shapes
from resnext.variants.variant import Variant
from resnext.weights.hub import check_source, find_file
from resnext.weights.load import check_weights
from resnext.weights.published import default_weights, smallest_weights
from resnext.weights.weights_file import open_weights

if TYPE_CHECKING:
    from resnext.data.source import DataSource

AUTO = "auto"
RUNS = Path("runs")


def choose_weights(weights: str | Path | None, variant: Variant | None) -> tuple[str | None, list[str]]:
    """Return the weights that an argument stands for, and the lines to report about them.

    "auto" stands for the smallest published ResNeXt or, if a network is passed, its default weights; if they are not
    available, for none. A file becomes an absolute path, so that the run can be moved and resumed from elsewhere.
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


def default_recipe_for(weights: str | Path | None) -> Recipe:
    """Return the default recipe for training from weights or from scratch; from a run, that which continues it."""
    if weights is not None:
        check_source(weights)
    run = open_run_of(weights)
    return continued(run.config.recipe) if run else default_recipe(weights)


def continued(recipe: CompleteRecipe) -> Recipe:
    """Return the recipe that continues a training: without its warm-up, because the weights are warm.

    >>> from resnext.recipes.photos import RECIPE
    >>> from resnext.recipes.complete import complete
    >>> continued(complete(RECIPE, images=200, evaluated=40, image_size=64)).warmup_epochs
    0
    """
    values: dict[str, Any] = dataclasses.asdict(recipe)
    values["warmup_epochs"] = 0
    return Recipe(**values)


def same_classes(run: Run, classes: Sequence[str]) -> bool:
    """Return whether a run has the same classes, in any order."""
    return sorted(map(composed, run.config.classes)) == sorted(map(composed, classes))


def of_same_channels(recipe: Recipe, weights: str | None, is_passed: bool) -> Recipe:
    """Return the recipe with the channels of the weights, unless they are for three and adapt to others.

    Args:
        recipe: recipe of the training.
        weights: weights to start from, if there are any.
        is_passed: whether the user passed the channels.

    Raises:
        ArgumentError: other channels than those of the weights were passed.
    """
    known = None
    if weights is not None:
        with open_weights(weights) as file:
            known = file.preprocessing()
    if known is None or known.channels in ("rgb", recipe.channels):
        return recipe
    if is_passed:
        what = "grey images" if known.channels == "grey" else f"images of {known.channels} channels"
        raise ArgumentError(
            f"{weights} takes {what}, and --channels {recipe.channels} was passed. Leave --channels out, or start from "
            "weights for three channels"
        )
    return dataclasses.replace(recipe, channels=known.channels, mean=known.mean, std=known.std)


def network_of_weights(weights: str, variant: Variant | None, image_size: int | None) -> Choice:
    """Return the network of the weights, and the size they were made for.

    Raises:
        WeightsError: they cannot be used, or are not those of the variant or of any known network.
    """
    with open_weights(weights, variant) as file:
        variant = variant or file.known_variant()
        known = file.preprocessing()
        channels = known.channel_count if known else 3
        check_weights(file, variant_shapes(variant, channels, variant.default_classes), variant, new_head=True)
    return Choice(variant, image_size or (known.size if known else variant.image_size))


def default_folder(source: DataSource, network: str) -> Path:
    """Return runs/DATA-NETWORK-N, with the lowest N for which the folder does not exist yet."""
    return numbered(RUNS / f"{source.title}-{network}")
