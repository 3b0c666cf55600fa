"""How a network is trained: one schedule, augmentation and optimizer under a name. Plain values, no Keras here."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

# The floating-point dtype policies of Keras.
Dtype = Literal["float32", "mixed_bfloat16", "mixed_float16", "bfloat16", "float16", "float64"]
DTYPES = get_args(Dtype)


def check_dtype(dtype: str) -> None:
    """Raise ValueError for what is not one of DTYPES."""
    if dtype not in DTYPES:
        raise ValueError(f"`dtype` must be one of {', '.join(DTYPES)}. Received: {dtype!r}")


@dataclass(frozen=True)
class Recipe:
    """Stochastic gradient descent with Nesterov momentum; linear warm-up, then half a cosine down to zero.

    The batch is drawn without replacement, every epoch in another order. Weight decay is decoupled, as Keras's is: each
    step takes learning rate x decay x weight from every kernel, none from batch norm and biases.
    """

    name: str
    epochs: int
    batch_size: int
    learning_rate: float  # the peak, after the warm-up
    warmup_epochs: int
    momentum: float
    weight_decay: float
    pad: float  # pad-and-crop: shift by up to this share of the image's side, any way
    flip: bool  # mirror half of the images

    def __post_init__(self):
        # Written so that NaN, which is neither below nor above anything, is refused too.
        for field in ("epochs", "batch_size"):
            self._check(field, "a whole number, at least 1", lambda value: isinstance(value, int) and value >= 1)
        self._check("warmup_epochs", "a whole number, at least 0", lambda value: isinstance(value, int) and value >= 0)
        for field in ("weight_decay", "pad"):
            self._check(field, "finite and at least 0", lambda value: 0 <= value < math.inf)
        self._check("learning_rate", "finite and above 0", lambda value: 0 < value < math.inf)
        self._check("momentum", "at least 0 and below 1", lambda value: 0 <= value < 1)

    def _check(self, field: str, allowed: str, is_allowed: Callable[[Any], bool]) -> None:
        value = getattr(self, field)
        if not is_allowed(value):
            raise ValueError(f"`{field}` must be {allowed}. Received: {value}")


PHOTOS = Recipe(
    name="photos",
    epochs=20,
    batch_size=64,
    learning_rate=0.1,
    warmup_epochs=2,
    momentum=0.9,
    weight_decay=5e-4,
    pad=0.125,
    flip=True,
)
RECIPES = {"photos": PHOTOS}
