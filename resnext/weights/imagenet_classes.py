"""The names of ImageNet-1K's classes, and of what a network's probabilities say."""

import functools
from importlib import resources
from typing import NamedTuple

import numpy as np

from resnext.errors import ArgumentError
from resnext.weights.published import find_weights


class Prediction(NamedTuple):
    """A class and its probability; a tuple as `keras.applications` gives it."""

    wordnet_id: str
    name: str
    probability: float


@functools.cache
def imagenet_classes() -> tuple[tuple[str, str], ...]:
    """WordNet's number and torchvision's name of each of the 1000 classes, in the order of all published weights.

    >>> imagenet_classes()[0]
    ('n01440764', 'tench')
    """
    text = resources.files("resnext.weights").joinpath("imagenet_classes.txt").read_text(encoding="utf-8")
    return tuple((number, name) for number, name in (line.split("\t") for line in text.splitlines()))


def decode_predictions(preds, top: int = 5, weights: str | None = None) -> list[list[Prediction]]:
    """The most probable classes of each image, the first first.

    Args:
        preds: probabilities, or logits, (batch, 1000): an array or a tensor.
        top: how many classes to name.
        weights: the tag of the weights that gave them, if their classes are not ImageNet-1K's.

    Raises:
        ValueError: another shape, a `top` that is not 1 to 1000, or weights whose classes have no names here.

    >>> [[best]] = decode_predictions(np.eye(1, 1000), top=1)
    >>> best.name
    'tench'
    """
    known = find_weights(weights.removeprefix("hf:timm/")) if weights else None
    if weights and known is None:
        raise ArgumentError(f"`weights` must be a tag that `resnext list --weights` shows. Received: {weights!r}")
    if known and known.classes != 1000:
        raise ArgumentError(
            f"{weights} knows {known.classes:,} classes of ImageNet-12K, whose names are not in this package. "
            "Allowed: weights for ImageNet-1K. timm has the list: timm.data.ImageNetInfo('imagenet12k')."
        )
    import keras

    array = preds if isinstance(preds, np.ndarray) else keras.ops.convert_to_numpy(preds)
    if array.ndim != 2 or array.shape[1] != 1000:
        raise ArgumentError(f"`preds` must be (batch, 1000), ImageNet-1K's classes. Received: shape {array.shape}")
    if not 1 <= top <= 1000:
        raise ArgumentError(f"`top` must be from 1 to 1000. Received: {top}")
    best = np.argsort(-array, axis=1, kind="stable")[:, :top]
    names = imagenet_classes()
    return [
        [Prediction(names[i][0], names[i][1], float(row[i])) for i in order]
        for row, order in zip(array, best, strict=True)
    ]
