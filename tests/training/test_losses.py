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


@pytest.mark.parametrize("name", ["cross-entropy", "binary"])
def test_focal_loss_is_kerass_and_exact_far_from_even(name):
    recipe = Recipe("a", epochs=1, loss=name, focal=2.0)
    logits, targets = LOGITS[:1], TARGETS[:1]
    theirs = (
        keras.losses.BinaryFocalCrossentropy(gamma=2.0, from_logits=True)
        if name == "binary"
        else keras.losses.CategoricalFocalCrossentropy(alpha=1.0, gamma=2.0, from_logits=True)
    )
    hard = np.eye(3, dtype=np.float32)[:1]  # of soft targets, Keras's binary one is another function
    both = [loss(keras.ops.array(hard), keras.ops.array(logits)) for loss in (build_loss(recipe), theirs)]
    assert float(both[0]) == pytest.approx(float(both[1]), rel=1e-4)
    wrong = keras.ops.array(np.array([[-90.0, 90.0, 0.0]], np.float32))  # Keras's stops at -log(1e-7)
    expected = 180 if name == "cross-entropy" else (90 + 90 + np.log(2) / 4) / 3
    assert float(build_loss(recipe)(keras.ops.array(hard), wrong)) == pytest.approx(expected, rel=1e-4)
    soft = build_loss(recipe)(keras.ops.array(targets), keras.ops.array(logits))
    even = build_loss(Recipe("a", epochs=1, loss=name))(keras.ops.array(targets), keras.ops.array(logits))
    assert 0 < float(soft) < float(even)
