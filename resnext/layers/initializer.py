"""Initial values of kernels, drawn by NumPy and therefore the same on every backend."""

import contextlib
import contextvars
import math
import random

import keras
import numpy as np
from keras import ops

_filled_later = contextvars.ContextVar("filled_later", default=False)


@contextlib.contextmanager
def filled_later():
    """Make the initializers here return zeros inside the block.

    Drawing values that are then replaced from a file would take a third of the time.
    """
    token = _filled_later.set(True)
    try:
        yield
    finally:
        _filled_later.reset(token)


class DrawnByNumPy(keras.initializers.Initializer):
    """Base class of initializers with values drawn by NumPy, so that one seed gives the same values on every backend.

    JAX would compile a program for every shape, which took most of the time needed to build a network.
    """

    def __init__(self, seed: int | None = None):
        self.seed = random.getrandbits(32) if seed is None else seed  # `keras.utils.set_random_seed` sets `random`

    def get_config(self):
        return {"seed": self.seed}

    def __call__(self, shape, dtype=None):
        draws = np.random.default_rng(self.seed)
        values = np.zeros(shape, np.float32) if _filled_later.get() else self.draw(draws, shape)
        return ops.convert_to_tensor(values, dtype=dtype or keras.config.floatx())

    def draw(self, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Draw float32 values of a shape."""
        raise NotImplementedError


@keras.saving.register_keras_serializable(package="resnext")
class FanOutNormal(DrawnByNumPy):
    """Normal distribution of variance 2 / fan-out (He et al. 2015, section 2.2; the authors' models/resnext.lua).

    The fan-out is not divided by the groups.

    >>> FanOutNormal(seed=0)((3, 3, 64, 128)).shape[-1]
    128
    """

    def draw(self, generator, shape):
        height, width, _, filters = shape
        values = generator.standard_normal(shape, np.float32)
        values *= np.sqrt(2 / (height * width * filters), dtype=np.float32)
        return values


@keras.saving.register_keras_serializable(package="resnext")
class GlorotUniform(DrawnByNumPy):
    """Uniform distribution of variance 2 / (fan-in + fan-out), as in Keras (Glorot and Bengio 2010, equation 16).

    >>> GlorotUniform(seed=0)((2048, 1000)).shape[-1]
    1000
    """

    def draw(self, generator, shape):
        fans = math.prod(shape[:-2]) * (shape[-2] + shape[-1])
        return (generator.random(shape, np.float32) * 2 - 1) * np.sqrt(6 / fans, dtype=np.float32)
