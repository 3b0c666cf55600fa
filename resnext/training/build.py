"""The network to train, and the compiled classifier around it."""

from __future__ import annotations

import dataclasses

import keras

from resnext.errors import ArgumentError
from resnext.model.classifier import image_network
from resnext.model.features import freeze
from resnext.model.network import ResNeXtModel
from resnext.recipes.recipe import Recipe
from resnext.runs.config import RunConfig
from resnext.training.losses import build_loss
from resnext.training.optimizers import build_optimizer


def check_precision(dtype: str) -> None:
    """Refuse float64 if JAX would compute in float32. Raises ArgumentError."""
    if dtype == "float64" and keras.backend.standardize_dtype(keras.ops.zeros((), "float64").dtype) != "float64":
        raise ArgumentError(
            "`dtype` float64 becomes float32 on JAX unless the environment has JAX_ENABLE_X64=1. Set that."
        )


def build_network(config: RunConfig, weights: str | None) -> ResNeXtModel:
    """Build the network to train, with the recipe's initial scales, any loaded weights, and its frozen stages."""
    recipe, variant = config.recipe, config.variant
    variant = dataclasses.replace(
        variant,
        drop_path=recipe.drop_path or variant.drop_path,
        last_gamma=0.0 if recipe.zero_gamma else variant.last_gamma,
    )
    classes, size = len(config.classes), recipe.image_size
    network = image_network(variant, classes, config.preprocessing, weights, size, config.options.form)
    network.class_names = config.classes
    return freeze(network, recipe.freeze)


def compile_classifier(classifier: keras.Model, network: keras.Model, recipe: Recipe, rates) -> None:
    """Compile a classifier for a recipe.

    Args:
        classifier: model that is trained, from images to logits.
        network: network in it, whose layers may have their own learning rates.
        recipe: training recipe to use.
        rates: schedule of the learning rate.
    """
    optimizer = build_optimizer(recipe, rates, network)
    classifier.compile(optimizer, build_loss(recipe), metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")])
