"""The losses that recipes name, of logits; targets are smoothed and mixed before, in `data/batches.py`."""

from __future__ import annotations

import keras

from resnext.recipes.recipe import Recipe


def build_loss(recipe: Recipe) -> keras.losses.Loss:
    """Return the loss of a recipe: cross-entropy, or one binary cross-entropy for each class (Wightman et al. 2021).

    Source: https://arxiv.org/abs/2110.00476, section 3, for the binary one.
    """
    if recipe.loss == "binary":
        return keras.losses.BinaryCrossentropy(from_logits=True)
    return keras.losses.CategoricalCrossentropy(from_logits=True)
