"""A trial after memory has run out: into how many parts a step must be divided to fit."""

from __future__ import annotations

import dataclasses
import traceback

import keras
import numpy as np

from resnext.model.classifier import image_classifier
from resnext.model.recompute import recompute
from resnext.recipes.recipe import training_preprocessing
from resnext.runs.config import RunConfig
from resnext.training.build import build_network, compile_classifier
from resnext.training.failures import is_out_of_memory

MOST = 64  # parts that are tried


def fitting_accumulate(config: RunConfig, images: int, error: Exception) -> int | None:
    """Return the fewest parts of a step, doubled in each trial, that fit into memory; None if none does.

    Each trial builds the network again and takes the steps of one accumulation, on black images.

    Args:
        config: configuration of the run that ran out of memory, in as many parts as its recipe has.
        images: images of a step, all parts together.
        error: what the run raised; its frames are cleared, because they hold the run's arrays.
    """
    traceback.clear_frames(error.__traceback__)
    parts = 2 * config.recipe.accumulate
    while parts <= MOST and images % parts == 0:
        keras.utils.clear_session(free_memory=True)
        try:
            _take_steps(config, parts, images // parts)
        except Exception as trial:
            if not is_out_of_memory(trial):
                return None
            traceback.clear_frames(trial.__traceback__)
            parts *= 2
            continue
        return parts
    return None


def _take_steps(config: RunConfig, parts: int, images: int) -> None:
    """Take the steps of one accumulation. Raises the backend's error if memory runs out."""
    recipe = dataclasses.replace(config.recipe, accumulate=parts)
    network = build_network(dataclasses.replace(config, recipe=recipe), None)
    trained = recompute(network) if config.options.remat else network
    classifier = image_classifier(trained, training_preprocessing(recipe))
    compile_classifier(classifier, network, recipe, recipe.learning_rate, config.several)
    pixels = np.zeros((images, *training_preprocessing(recipe).shape), np.uint8)
    targets = np.zeros((images, len(config.classes)), np.float32)
    for _ in range(parts):
        classifier.train_on_batch(pixels, targets)
