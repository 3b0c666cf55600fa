"""The two losses, against their definitions in NumPy."""

import keras
import numpy as np
import pytest

from resnext.recipes.recipe import Recipe
from resnext.training.losses import build_loss

LOGITS = np.array([[2.0, -1.0, 0.5], [0.0, 30.0, -30.0]], np.float32)
TARGETS = np.array([[0.9, 0.05, 0.05], [0.3, 0.7, 0.0]], np.float32)


def binary():
    logits = LOGITS.astype(np.float64)
    return (TARGETS * np.logaddexp(0, -logits) + (1 - TARGETS) * np.logaddexp(0, logits)).mean()


def softmax():
    logits = LOGITS.astype(np.float64)
    return -(TARGETS * (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))).sum(axis=1).mean()


@pytest.mark.parametrize(("name", "expected"), [("binary", binary()), ("cross-entropy", softmax())])
def test_the_loss_of_logits_and_soft_targets(name, expected):
    loss = build_loss(Recipe("a", epochs=1, loss=name))(keras.ops.array(TARGETS), keras.ops.array(LOGITS))
    assert float(loss) == pytest.approx(expected, rel=1e-5)
