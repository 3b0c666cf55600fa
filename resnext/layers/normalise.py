"""The normalisation of images as the first layer of a classifier."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="resnext")
class Normalise(keras.layers.Layer):
    """Scale and shift each channel, which is the last axis.

    `keras.layers.Rescaling` takes the axis of the channels from Keras's global configuration each time it is called, so
    that a `keras.json` with channels_first would change what a trained network computes.

    Args:
        scale: factor of each channel.
        offset: number added to each channel.

    >>> ops.convert_to_numpy(Normalise([0.5, 2.0], [0.0, 1.0])(np.ones((1, 1, 1, 2)))).tolist()
    [[[[0.5, 3.0]]]]
    """

    def __init__(self, scale: Sequence[float], offset: Sequence[float], **arguments):
        super().__init__(**arguments)
        self.scale, self.offset = list(scale), list(offset)

    def call(self, inputs):
        dtype = self.compute_dtype
        scale, offset = (ops.convert_to_tensor(np.array(each), dtype) for each in (self.scale, self.offset))
        return ops.cast(inputs, dtype) * scale + offset

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs.shape, self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), "scale": self.scale, "offset": self.offset}
