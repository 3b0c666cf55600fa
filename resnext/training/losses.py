"""The losses that recipes name, of logits; targets are smoothed and mixed before, in `data/batches.py`."""

from __future__ import annotations

import keras
from keras import ops

from resnext.recipes.recipe import Recipe


def build_loss(recipe: Recipe) -> keras.losses.Loss:
    """Return the loss of a recipe: cross-entropy, or one binary cross-entropy for each class (Wightman et al. 2021).

    Source: https://arxiv.org/abs/2110.00476, section 3, for the binary one.
    """
    if recipe.focal:
        return FocalLoss(recipe.focal, binary=recipe.loss == "binary")
    if recipe.loss == "binary":
        return keras.losses.BinaryCrossentropy(from_logits=True)
    return keras.losses.CategoricalCrossentropy(from_logits=True)


class FocalLoss(keras.losses.Loss):
    """Cross-entropy whose terms are multiplied by (1 - p)**gamma (Lin et al. 2017, https://arxiv.org/abs/1708.02002).

    Keras's own focal losses clip the probabilities at 1e-7; this one is exact for logits of any size.

    Args:
        gamma: power, above 0. With 0 the loss would be the cross-entropy.
        binary: whether the terms are binary, with their mean over the classes, or those of a softmax, with their sum.

    >>> loss = FocalLoss(2.0)
    >>> even = keras.ops.zeros((1, 2))
    >>> round(float(loss(keras.ops.array([[1.0, 0.0]]), even)), 6)  # (1 - 0.5)**2 * log(2)
    0.173287
    """

    def __init__(self, gamma: float, binary: bool = False):
        super().__init__(name="focal_loss")
        self.gamma, self.binary = gamma, binary

    def call(self, y_true, y_pred):
        """Return the loss of each image (batch,) from targets and logits (batch, classes)."""
        if self.binary:
            hit, miss = ops.log_sigmoid(y_pred), ops.log_sigmoid(-y_pred)
            terms = y_true * self._weighed(hit) + (1 - y_true) * self._weighed(miss)
            return -ops.mean(terms, axis=-1)
        return -ops.sum(y_true * self._weighed(ops.log_softmax(y_pred)), axis=-1)

    def _weighed(self, log_probability):
        """Return log p times (1 - p)**gamma; 1 - p is kept above 0, where its root has no gradient."""
        return ops.maximum(-ops.expm1(log_probability), 1e-30) ** self.gamma * log_probability
