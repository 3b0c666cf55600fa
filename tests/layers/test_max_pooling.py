"""Max pooling, against Keras's own."""

import keras
import numpy as np
import pytest

from resnext.layers.max_pooling import MaxPooling2D
from support.layers import Images
from support.networks import computed


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(
    ("size", "strides", "sides"), [(3, 2, (9, 11)), (3, 2, (10, 8)), (2, 2, (6, 6)), (3, 1, (5, 6))]
)
def test_max_pooling_is_keras_own_in_values_and_gradient(size, strides, sides, data_format):
    rng = np.random.default_rng(6)
    shape = (2, *sides, 3) if data_format == "channels_last" else (2, 3, *sides)
    x = rng.permutation(np.prod(shape)).reshape(shape).astype("float32")
    results = []
    for kind in (MaxPooling2D, keras.layers.MaxPooling2D):
        inputs = keras.Input(batch_shape=shape)
        images = Images(x)
        model = keras.Model(inputs, kind(size, strides, data_format=data_format)(images(inputs)))
        model.compile(keras.optimizers.SGD(1.0), lambda slopes, predicted: keras.ops.sum(predicted * slopes))
        slopes = np.random.default_rng(7).normal(size=model.output.shape).astype("float32")
        outputs = computed(model, np.zeros_like(x))
        model.train_on_batch(np.zeros_like(x), slopes)
        results.append((outputs, x - keras.ops.convert_to_numpy(images.images)))
    for given, expected in zip(*results, strict=True):
        np.testing.assert_allclose(given, expected, atol=1e-4)
