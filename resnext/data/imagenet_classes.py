"""The names of ImageNet-1K's classes, and the decoding of predictions."""

import functools
from importlib import resources
from typing import NamedTuple

import numpy as np

from resnext.errors import ArgumentError
from resnext.metrics.probabilities import most_probable
from resnext.weights.published import find_weights


class DecodedPrediction(NamedTuple):
    """A class and its probability, in the tuple of `keras.applications`."""

    wordnet_id: str
    name: str
    probability: float


@functools.cache
def imagenet_classes() -> tuple[tuple[str, str], ...]:
    """Return WordNet's number and torchvision's name of each of the 1000 classes, in the order of published weights.

    >>> imagenet_classes()[0]
    ('n01440764', 'tench')
    """
    text = resources.files("resnext.data").joinpath("imagenet_classes.txt").read_text(encoding="utf-8")
    return tuple((number, name) for number, name in (line.split("\t") for line in text.splitlines()))


def decode_predictions(preds, top: int = 5, weights: str | None = None) -> list[list[DecodedPrediction]]:
    """Return the most probable classes of each image, most probable first.

    Args:
        preds: probabilities or logits, (batch, 1000): array or tensor.
        top: number of classes to return.
        weights: tag of the weights that produced them, if their classes are not ImageNet-1K's.

    Raises:
        ArgumentError: another shape, a `top` that is not 1 to 1000, or weights whose classes have no names here.

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
    best = most_probable(array, top)
    names = imagenet_classes()
    return [
        [DecodedPrediction(names[i][0], names[i][1], float(row[i])) for i in order]
        for row, order in zip(array, best, strict=True)
    ]
