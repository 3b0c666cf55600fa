"""The lines with which a training begins: what is trained, on what, and where."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from resnext.backend import describe_device
from resnext.data.batches import images_per_step
from resnext.data.examples import Splits
from resnext.errors import counted
from resnext.recipes.complete import CompleteRecipe
from resnext.recipes.naming import NAMES, get_recipe
from resnext.recipes.recipe import changed
from resnext.runs.config import RunConfig
from resnext.variants.complexity import complexity

if TYPE_CHECKING:
    import keras


def start_lines(config: RunConfig, splits: Splits, network: keras.Model) -> Iterator[str]:
    """Yield the lines.

    Args:
        config: configuration of the run.
        splits: its images.
        network: its network, with frozen stages if there are some.
    """
    recipe, variant, train = config.recipe, config.variant, splits.train
    parameters = complexity(variant, classes=len(config.classes)).parameters
    per_step = images_per_step(train, recipe)
    steps, rest = divmod(len(train), per_step)
    yield f"device: {describe_device()}"
    yield (
        f"data: {counted(len(train), 'image')} of {len(config.classes):,} classes to train on, "
        f"{len(splits.validation):,} to evaluate on"
    )
    yield f"network: {variant.name} at {recipe.image_size} pixels, {parameters:,} parameters, {config.options.dtype}"
    if config.options.weights:
        yield f"weights: {config.options.weights}"
    values = ", ".join(f"{name} {value}" for name, value in changed(recipe).items())
    yield f"recipe {recipe.name}: {values}"
    left_out = f"; each epoch leaves {counted(rest, 'image')} out, others each time" if rest else ""
    yield f"steps: {recipe.epochs * steps:,} of {counted(per_step, 'image')} each, {steps:,} in each epoch{left_out}"
    yield from _about_rate(recipe)
    stride = variant.stages[-1].output_stride
    if recipe.image_size < stride:
        yield (
            f"images of {recipe.image_size} pixels are smaller than the {stride} that one value of the last stage "
            "stands for; use a larger --image-size, or a variant for small images, such as resnext11_4x4d"
        )
    if recipe.freeze:
        trained = sum(math.prod(variable.shape) for variable in network.trainable_variables)
        stages = f"stage{'s' if len(recipe.freeze) > 1 else ''} {', '.join(map(str, recipe.freeze))}"
        yield f"frozen: {stages}, with statistics; {trained:,} of {parameters:,} parameters are trained"


def _about_rate(recipe: CompleteRecipe) -> Iterator[str]:
    """Say if a recipe's own learning rate is used for batches of another size."""
    own = get_recipe(recipe.name) if recipe.name in NAMES else None
    if not (own and own.batch_size and own.learning_rate):
        return
    if own.learning_rate == recipe.learning_rate and own.batch_size != recipe.batch_size:
        proportional = own.learning_rate * recipe.batch_size / own.batch_size
        yield (
            f"learning rate: {own.learning_rate:g} is that of {own.name} for batches of {own.batch_size:,}; for "
            f"{recipe.batch_size:,}, --learning-rate {proportional:.2g} is in proportion"
        )
