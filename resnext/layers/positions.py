"""Features in which each position has channels of its own, for a classifier that keeps positions apart."""

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="resnext")
class PositionsApart(keras.layers.Layer):
    """Move the channels of each position to a place of their own among zeros, so that their mean is a flat vector.

    Shapes: (batch, height, width, channels) -> (batch, height, width, height * width * channels), or channels first.
    Global average pooling of the result is `Flatten` of the input: a linear classifier after it has weights for each
    position, and still has class activation maps.

    >>> y = PositionsApart()(np.arange(1.0, 5.0).reshape(1, 2, 2, 1))
    >>> ops.convert_to_numpy(ops.mean(y, (1, 2))).tolist()
    [[1.0, 2.0, 3.0, 4.0]]
    """

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.axis = 3 if keras.config.image_data_format() == "channels_last" else 1

    @property
    def mask(self) -> np.ndarray:
        """The number of positions where a channel is at its own position, else 0: float32, for a batch of 1."""
        return self._mask_for(self.input.shape)

    def _mask_for(self, shape) -> np.ndarray:
        sides, channels = [side for i, side in enumerate(shape) if i not in (0, self.axis)], shape[self.axis]
        positions = int(np.prod(sides))
        own = np.eye(positions, dtype=np.float32).reshape(1, *sides, positions) * positions
        return np.moveaxis(np.repeat(own, channels, axis=-1), -1, self.axis)

    def call(self, inputs):
        mask = self._mask_for(inputs.shape)
        copies = mask.shape[self.axis] // inputs.shape[self.axis]
        return ops.concatenate([inputs] * copies, self.axis) * ops.convert_to_tensor(mask, inputs.dtype)
