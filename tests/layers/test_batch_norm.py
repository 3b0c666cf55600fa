"""Every route of batch norm, against Keras's own."""

import keras
import numpy as np
import pytest

from resnext.layers.batch_norm import BatchNorm
from support.layers import BACKEND, Images
from support.networks import computed

NORM_ROUTES = ["native"] if BACKEND == "jax" else ["native", "fused"]


def norm_step(layer, x, addend, upstream, dtype, training=True):
    """Outputs of a batch norm, and after a step of training its inputs, weights and moving statistics."""
    inputs = keras.Input(batch_shape=x.shape)
    images, addends = Images(x, dtype=dtype), Images(addend, dtype=dtype)
    layer = layer()
    model = keras.Model(inputs, layer(images(inputs), addends(inputs)))
    rng = np.random.default_rng(5)
    layer.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in layer.weights])
    zeros = np.zeros_like(x)
    outputs = computed(model, zeros, training)

    def loss(slopes, predicted):
        return keras.ops.sum(keras.ops.cast(predicted, "float32") * slopes)

    model.compile(keras.optimizers.SGD(1.0), loss)
    model.train_on_batch(zeros, upstream)
    return [outputs, *map(in_float32, (images.images, addends.images, *layer.weights))]


def in_float32(variable):
    return keras.ops.convert_to_numpy(keras.ops.cast(variable, "float32"))


class PlainNorm(keras.layers.Layer):
    """Keras's own layers one after the other."""

    def __init__(self, **arguments):
        super().__init__(dtype=arguments["dtype"])
        self.norm = keras.layers.BatchNormalization(**arguments)

    def build(self, shape, *_):
        self.norm.build(shape)

    def call(self, x, addend, training=None):
        return keras.ops.relu(self.norm(x, training=training) + addend)


@pytest.mark.parametrize("trainable", [True, False])
@pytest.mark.parametrize("axis", [-1, 1])
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "mixed_float16", "bfloat16"])
@pytest.mark.parametrize("route", NORM_ROUTES)
def test_batch_norm_is_keras_own_in_values_gradients_and_moving_statistics(route, dtype, axis, trainable):
    rng = np.random.default_rng(4)
    x, addend, upstream = rng.normal(1, 2, size=(3, 5, 7, 4, 6)).astype("float32")
    arguments = {"axis": axis, "epsilon": 1e-5, "momentum": 0.7, "trainable": trainable, "dtype": dtype}

    def ours():
        layer = BatchNorm(activation="relu", **arguments)
        layer.build(x.shape)
        assert layer.route == NORM_ROUTES[-1]
        layer.route = route
        return layer

    given = norm_step(ours, x, addend, upstream, dtype)
    expected = norm_step(lambda: PlainNorm(**arguments), x, addend, upstream, dtype)
    precision = 2e-4 if dtype == "float32" else 0.06
    assert len(given) == len(expected)
    for ours_, truth in zip(given, expected, strict=True):
        np.testing.assert_allclose(ours_, truth, rtol=precision, atol=precision)


@pytest.mark.parametrize("route", NORM_ROUTES)
def test_batch_norm_of_one_value_per_channel(route):
    layer = BatchNorm()
    layer.build((1, 1, 1, 3))
    layer.route = route
    outputs = keras.ops.convert_to_numpy(layer(np.full((1, 1, 1, 3), 5.0, "float32"), training=True))
    np.testing.assert_allclose(outputs, 0, atol=1e-3)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer.moving_variance), 0.99, rtol=1e-5)


def test_batch_norm_is_saved_as_keras_own():
    ours, plain = BatchNorm(), keras.layers.BatchNormalization()
    for layer in (ours, plain):
        layer.build((None, 4, 4, 8))
    assert [w.name for w in ours.weights] == [w.name for w in plain.weights]
    again = BatchNorm.from_config(BatchNorm(activation="relu", momentum=0.5).get_config())
    assert (again.activation, again.momentum) == (keras.activations.relu, 0.5)


def test_masks_are_not_taken_for_known():
    """Its statistics count every pixel, so that Keras has to say that a mask ends here."""
    assert not BatchNorm().supports_masking
