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
        weights: shares of the channels in one grey channel, to which they are added before; None: they stay.

    >>> ops.convert_to_numpy(Normalise([0.5, 2.0], [0.0, 1.0])(np.ones((1, 1, 1, 2)))).tolist()
    [[[[0.5, 3.0]]]]
    """

    def __init__(
        self, scale: Sequence[float], offset: Sequence[float], weights: Sequence[float] | None = None, **arguments
    ):
        super().__init__(**arguments)
        self.scale, self.offset = list(scale), list(offset)
        self.shares = None if weights is None else list(weights)

    def call(self, inputs):
        dtype = self.compute_dtype
        scale, offset = (ops.convert_to_tensor(np.array(each), dtype) for each in (self.scale, self.offset))
        values = ops.cast(inputs, dtype)
        if self.shares is not None:
            shares = ops.convert_to_tensor(np.array(self.shares), dtype)
            values = ops.sum(values * shares, axis=-1, keepdims=True)
        return values * scale + offset

    def compute_output_spec(self, inputs):
        channels = inputs.shape[-1] if self.shares is None else 1
        return keras.KerasTensor((*inputs.shape[:-1], channels), self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), "scale": self.scale, "offset": self.offset, "weights": self.shares}
