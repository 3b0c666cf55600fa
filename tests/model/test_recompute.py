"""Blocks computed twice: the same outputs, gradients and moving statistics, on the same variables."""

import keras
import numpy as np
import pytest

from resnext import ResNeXt, fold
from resnext.model.recompute import recompute
from support.networks import computed, gradients


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("resnext11_4x4d", {"classes": 5, "classifier_activation": None}), ("seresnet14t", {"include_top": False})],
)
def test_a_step_is_the_same(name, arguments):
    networks = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        networks.append(ResNeXt(name, input_shape=(32, 32, 3), **arguments))
    plain, network = networks
    model = recompute(network)
    assert {id(v) for v in model.trainable_variables} == {id(v) for v in network.trainable_variables}
    assert len(model.non_trainable_variables) == len(network.non_trainable_variables)
    rng = np.random.default_rng(4)
    images = rng.normal(size=(4, 32, 32, 3)).astype("float32")
    targets = rng.normal(size=(4, *plain.output.shape[1:])).astype("float32")
    given, expected = computed(model, images), computed(plain, images)
    np.testing.assert_allclose(given, expected, rtol=1e-5, atol=1e-6)
    model.compile(keras.optimizers.SGD(1.0), "mse", run_eagerly=keras.backend.backend() != "jax")
    model.train_on_batch(images, targets)
    gradients(plain, images, targets)
    moved = 0
    for old, new in zip(plain.variables, network.variables, strict=True):
        old, new = map(keras.ops.convert_to_numpy, (old, new))
        np.testing.assert_allclose(new, old, rtol=1e-3, atol=1e-4)
        moved += not (np.all(new == 0) or np.all(new == 1))
    assert moved > len(network.variables) * 0.9


def test_only_networks_with_blocks_are_recomputed():
    network = fold(ResNeXt("resnext11_2x4d", name="other"))
    with pytest.raises(ValueError, match=r"of ResNeXt, not folded, and one output. Received: 'other'"):
        recompute(network)
