"""The values that a recipe leaves open, chosen by the number of images."""

import dataclasses
import math
from dataclasses import dataclass

from resnext.errors import ArgumentError
from resnext.keywords import as_call
from resnext.recipes.recipe import Recipe

# Learning rates for steps of RATED images or more. The rate of SGD falls with the batch size, the others' with its
# root.
RATES = {"sgd": 0.1, "adamw": 1e-3, "lamb": 5e-3, "lbfgs": 1.0}
RATED = 64
BATCHES = (8, 128)  # smallest and largest
STEPS = 1000  # at least, from random weights
EPOCHS = (20, 500)  # at least, and at most to reach STEPS
PRETRAINED_STEPS, PRETRAINED_EPOCHS = 300, (10, 150)
EVALUATIONS = 20  # about


@dataclass(frozen=True)
class CompleteRecipe(Recipe):
    """A recipe that leaves nothing open; its zeros are refused."""

    epochs: int = 0
    batch_size: int = 0
    learning_rate: float = 0.0
    evaluate_every: int = 0
    image_size: int = 0
    warmup_epochs: int = 0

    def __repr__(self) -> str:
        return as_call(self)

    def __post_init__(self):
        super().__post_init__()
        for field in CompleteRecipe.__annotations__:
            if getattr(self, field) is None:
                raise ArgumentError(f"`{field}` must be a number. Received: None")


def complete(
    recipe: Recipe, *, images: int, evaluated: int, image_size: int, pretrained: bool = False
) -> CompleteRecipe:
    """Return the recipe with a value for everything that it leaves open.

    The batch size is the power of two nearest to the root of the number of images, from 8 to 128: a small set gets
    many small steps. There are 20 epochs or, on a small set, as many as 1,000 steps take (at most 500); a third of
    that from pretrained weights, and at least 10. A tenth of the epochs is the warm-up. The network is evaluated about
    20 times, and on no more images than it is trained on.

    Args:
        recipe: recipe whose own values stay.
        images: number of training images.
        evaluated: number of validation images.
        image_size: side in pixels, if the recipe has none.
        pretrained: whether training starts from weights that were trained before.

    >>> from resnext.recipes.photos import RECIPE
    >>> small = complete(RECIPE, images=200, evaluated=340, image_size=64)
    >>> small.batch_size, small.learning_rate, small.epochs, small.warmup_epochs, small.evaluate_every
    (16, 0.025, 84, 9, 4)
    """
    batch = recipe.batch_size or _batch_size(images, recipe.accumulate)
    is_fitted_once = recipe.optimizer == "lbfgs"
    epochs = recipe.epochs or (
        1 if is_fitted_once else _epochs(images // min(batch, images) // recipe.repeats, pretrained)
    )
    values = {
        "batch_size": batch,
        "epochs": epochs,
        "learning_rate": _learning_rate(recipe, batch),
        "warmup_epochs": 0 if recipe.schedule == "steps" or is_fitted_once else math.ceil(epochs / 10),
        "evaluate_every": max(1, round(epochs / EVALUATIONS), evaluated // images),
        "image_size": image_size,
    }
    given = dataclasses.asdict(recipe)
    return CompleteRecipe(**given | {name: value for name, value in values.items() if given[name] is None})


def following_batch(recipe: Recipe, own: Recipe) -> Recipe:
    """Return a recipe whose learning rate follows its batch size, from those of the published recipe.

    The rate of SGD is proportional to the batch size (Goyal et al. 2017), those of AdamW and LAMB to its root.

    Args:
        recipe: recipe with another batch size.
        own: published recipe, with a rate for its batch size.

    >>> from resnext.recipes.rsb_a3 import RECIPE
    >>> following_batch(dataclasses.replace(RECIPE, batch_size=512), RECIPE).learning_rate
    0.004
    """
    if not (own.batch_size and own.learning_rate and recipe.batch_size):
        return recipe
    share = recipe.batch_size / own.batch_size
    factor = share if recipe.optimizer == "sgd" else math.sqrt(share)
    return dataclasses.replace(recipe, learning_rate=own.learning_rate * factor)


def _batch_size(images: int, accumulate: int) -> int:
    smallest, largest = BATCHES
    nearest = 2 ** round(math.log2(math.sqrt(images)))
    batch = min(max(nearest, smallest), largest)
    return max(batch // accumulate, 1) * accumulate


def _epochs(steps_per_epoch: int, pretrained: bool) -> int:
    steps, (fewest, most) = (PRETRAINED_STEPS, PRETRAINED_EPOCHS) if pretrained else (STEPS, EPOCHS)
    return min(max(fewest, math.ceil(steps / max(steps_per_epoch, 1))), most)


def _learning_rate(recipe: Recipe, batch: int) -> float:
    share = min(batch, RATED) / RATED
    return RATES[recipe.optimizer] * (share if recipe.optimizer == "sgd" else math.sqrt(share))
