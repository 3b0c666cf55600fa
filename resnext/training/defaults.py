"""Defaults for what the caller of `train` leaves open: weights, network, size, folder."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from resnext.errors import ArgumentError, MissingPackageError, WeightsError, one_line
from resnext.files import user_path
from resnext.recipes.names import default_recipe
from resnext.recipes.recipe import Recipe
from resnext.variants.choose import Choice
from resnext.variants.layer_table import variant_shapes
from resnext.variants.variant import Variant
from resnext.weights.hub import find_file
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


def from_scratch(recipe: Recipe) -> Recipe:
    """Return the default recipe for training without weights, with the caller's changes to the recipe for weights."""
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
        WeightsError: they cannot be used, or are not those of the variant or of any known network.
    """
    with open_weights(weights, variant) as file:
        variant = variant or file.known_variant()
        check_weights(file, variant_shapes(variant, 3, variant.default_classes), variant, new_head=True)
        known = file.preprocessing()
    return Choice(variant, image_size or (known.size if known else variant.image_size))


def default_folder(source: DataSource, network: str) -> Path:
    """Return runs/DATA-NETWORK-N, with the lowest N for which the folder does not exist yet."""
    data = source.title
    number = 1
    while (folder := RUNS / f"{data}-{network}-{number}").exists():
        number += 1
    return folder
