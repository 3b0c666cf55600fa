"""The network to train, and the compiled classifier around it."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from resnext.data.folders import composed
from resnext.errors import ArgumentError, listed
from resnext.layers.initializer import GlorotUniform
from resnext.metrics.labels import HALF
from resnext.model.classifier import image_network
from resnext.model.features import freeze
from resnext.model.network import ResNeXtModel
from resnext.recipes.recipe import Recipe
from resnext.runs.config import RunConfig
from resnext.training.losses import build_loss
from resnext.training.optimizers import build_optimizer
from resnext.weights.foreign_names import HEAD
from resnext.weights.weights_file import open_weights

logger = logging.getLogger(__name__)


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
    if weights and recipe.optimizer != "lbfgs":  # which fits all of it
        adopt_head(network, weights, config.classes)
    network.class_names, network.labels = config.classes, config.labels
    return freeze(network, recipe.freeze)


def compile_classifier(
    classifier: keras.Model, network: keras.Model, recipe: Recipe, rates, several: bool = False
) -> None:
    """Compile a classifier for a recipe.

    Args:
        classifier: model that is trained, from images to logits.
        network: network in it, whose layers may have their own learning rates.
        recipe: training recipe to use.
        rates: schedule of the learning rate.
        several: whether an image may have any number of classes: the accuracy is then the share of right answers.
    """
    optimizer = build_optimizer(recipe, rates, network)
    accuracy = LabelsAccuracy() if several else keras.metrics.CategoricalAccuracy(name="accuracy")
    classifier.compile(optimizer, build_loss(recipe), metrics=[accuracy])


class LabelsAccuracy(keras.metrics.MeanMetricWrapper):
    """The share of right answers, yes or no for each class; targets that are mixed or smoothed are yes above 0.5."""

    def __init__(self):
        super().__init__(_right_answers, name="accuracy")


def _right_answers(y_true, y_pred):
    """Return the share of right answers for each image (batch,) from targets and logits (batch, classes)."""
    right = ops.equal(y_true > HALF, y_pred > 0)
    return ops.mean(ops.cast(right, "float32"), axis=-1)


def adopt_head(network: ResNeXtModel, source: str, classes: Sequence[str]) -> None:
    """Assign the weights of the head by the names of the classes, if the file has names and they are not the same.

    A class that only the network has gets new weights. Loaded by their order, they would be another class's.

    Args:
        network: network with loaded weights.
        source: weights that were loaded.
        classes: names of its classes.
    """
    with open_weights(source, network.variant) as file:
        theirs = {composed(name): place for place, name in enumerate(file.class_names() or ())}
        places = [theirs.get(composed(name)) for name in classes]
        if not theirs or places == [*range(len(theirs))]:
            return
        head = network.get_layer("predictions")
        kernel, *bias = (np.array(keras.ops.convert_to_numpy(variable)) for variable in head.weights)
        known = [file.value(file.found[name]) for name in HEAD[: len(head.weights)] if name in file.found]
    if len(known) < len(head.weights) or known[0].shape[:-1] != kernel.shape[:-1]:
        return  # a head for images of another size
    fresh = np.array(keras.ops.convert_to_numpy(GlorotUniform()(kernel.shape)))
    values = [np.stack([_column(known[0], place, fresh[:, i]) for i, place in enumerate(places)], axis=-1)]
    values += [np.array([0.0 if place is None else known[1][place] for place in places])] if bias else []
    head.set_weights(values)
    if kept := [name for name, place in zip(classes, places, strict=True) if place is not None]:
        logger.info(f"weights: in the head, {listed(kept)} keep theirs, by the names of the classes")


def _column(kernel: np.ndarray, place: int | None, fresh: np.ndarray) -> np.ndarray:
    return fresh if place is None else kernel[..., place]
