"""Initial values of kernels, drawn by NumPy and therefore the same on every backend."""

import contextlib
import contextvars
import random

import keras
import numpy as np
from keras import ops

_filled_later = contextvars.ContextVar("filled_later", default=False)


@contextlib.contextmanager
def filled_later():
    """Make `FanOutNormal` return zeros inside the block.

    Drawing values that are then replaced from a file would take a third of the time.
    """
    token = _filled_later.set(True)
    try:
        yield
    finally:
        _filled_later.reset(token)


@keras.saving.register_keras_serializable(package="resnext")
class FanOutNormal(keras.initializers.Initializer):
    """Normal distribution of variance 2 / fan-out (He et al. 2015, section 2.2; the authors' models/resnext.lua).

    The fan-out is not divided by the groups. NumPy draws the values, so one seed gives the same values on every
    backend. JAX would compile a program for every shape, which took most of the time needed to build a network.

    >>> FanOutNormal(seed=0)((3, 3, 64, 128)).shape[-1]
    128
    """

    def __init__(self, seed: int | None = None):
        self.seed = random.getrandbits(32) if seed is None else seed  # `keras.utils.set_random_seed` sets `random`

    def get_config(self):
        return {"seed": self.seed}

    def __call__(self, shape, dtype=None):
        height, width, _, filters = shape
        if _filled_later.get():
            return ops.convert_to_tensor(np.zeros(shape, np.float32), dtype=dtype or keras.config.floatx())
        values = np.random.default_rng(self.seed).standard_normal(shape, np.float32)
        values *= np.sqrt(2 / (height * width * filters), dtype=np.float32)
        return ops.convert_to_tensor(values, dtype=dtype or keras.config.floatx())
