"""How a network is trained: one schedule, augmentation and optimizer under a name. Plain values, no Keras here."""

from dataclasses import dataclass
from typing import Literal, get_args

# The floating-point dtype policies of Keras.
Dtype = Literal["float32", "mixed_bfloat16", "mixed_float16", "bfloat16", "float16", "float64"]
DTYPES = get_args(Dtype)


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
        for field in ("epochs", "batch_size", "learning_rate"):
            if getattr(self, field) <= 0:
                raise ValueError(f"`{field}` must be above 0. Received: {getattr(self, field)}")


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
