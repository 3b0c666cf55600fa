"""Initial values: by the seed alone, and the same on every backend."""

import hashlib

import keras
import numpy as np
import pytest

from resnext import ResNeXt
from resnext.layers.initializer import FanOutNormal
from resnext.weights.variables import get_weights


def test_initial_values_follow_the_seed_and_nothing_else():
    keras.utils.set_random_seed(7)
    first, second = FanOutNormal(), FanOutNormal()
    keras.utils.set_random_seed(7)
    again = FanOutNormal.from_config(FanOutNormal().get_config())
    one, other, same = (keras.ops.convert_to_numpy(f((3, 3, 8, 16))) for f in (first, second, again))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    assert one[0, 0, 0, 0] == pytest.approx(0.23800884)  # on every backend and platform


def test_one_seed_draws_the_same_network_on_every_backend():
    """The digest was computed on TensorFlow; each backend has to arrive at it."""
    keras.utils.set_random_seed(7)
    weights = get_weights(ResNeXt("seresnext14_2x4d", classes=3))
    digest = hashlib.sha256(b"".join(weights[name].tobytes() for name in sorted(weights))).hexdigest()
    assert digest.startswith("bb2f46fbe1cb6320")


def test_a_new_head_is_glorots():
    """Uniform between -limit and limit, where limit is the root of 6 / (fan-in + fan-out)."""
    kernel = get_weights(ResNeXt("resnext11_2x4d", classes=500))["predictions/kernel"]
    limit = np.sqrt(6 / sum(kernel.shape))
    assert np.abs(kernel).max() <= limit
    assert np.abs(kernel).max() > 0.999 * limit
    assert abs(kernel.mean()) < 0.01 * limit
    assert kernel.std() == pytest.approx(limit / np.sqrt(3), rel=0.01)
