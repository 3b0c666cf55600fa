"""Unequal numbers of images in the classes: weights for their losses, and an order that balances them."""

from __future__ import annotations

import functools

import numpy as np

from resnext.data.examples import Examples, by_class
from resnext.errors import DataError


def class_weights(labels: np.ndarray, classes: int, power: float) -> np.ndarray:
    """Return the weight of each class, float32 (classes,): its inverse frequency to a power, 1 in the mean of images.

    With the power 1 these are scikit-learn's "balanced" weights.

    Args:
        labels: class of each training image, int (images,).
        classes: number of classes; one without images has the weight 0.
        power: 0 to 1.

    >>> class_weights(np.array([0, 0, 0, 1]), 2, 1).round(3).tolist()
    [0.6669999957084656, 2.0]
    """
    counts = np.bincount(labels, minlength=classes)
    weights = np.where(counts > 0, counts.clip(1) ** -float(power), 0)
    return (weights * len(labels) / (weights * counts).sum()).astype(np.float32)


def image_weights(examples: Examples, power: float) -> np.ndarray | None:
    """Return the weight of each image in training, float32 (images,), or None if all weigh the same.

    Args:
        examples: images to train on, with weights of their own or not.
        power: as in `class_weights`; 0 weighs the classes by their images.

    Raises:
        DataError: all weights are 0.
    """
    weights = None
    if examples.weights is not None:
        if not examples.weights.any():
            raise DataError("the weights of all images to train on are 0; write a number above 0 for some of them")
        weights = examples.weights / examples.weights.mean()
    if power:
        of_class = class_weights(examples.labels, len(examples.classes), power)[examples.labels]
        weights = of_class if weights is None else of_class * weights
    return weights


class BalancedOrder:
    """The images of endless epochs in which each class comes equally often, as far as their number divides.

    An epoch has as many images as there are. Its classes are drawn in a random order; the images of a class follow one
    another in random permutations, so that none comes again before all others of its class.

    Args:
        labels: class of each image, int (images,).
        seed: seed of the order.
    """

    def __init__(self, labels: np.ndarray, seed: int):
        self.members, self.images, self.seed = by_class(labels), len(labels), seed
        self.epoch = functools.lru_cache(maxsize=4)(self._epoch)

    def __getitem__(self, index: int) -> int:
        epoch, place = divmod(index, self.images)
        return int(self.epoch(epoch)[place])

    def _epoch(self, epoch: int) -> np.ndarray:
        """Return the indices of the images of an epoch, int (images,)."""
        classes, each = len(self.members), self.images // len(self.members)
        rng = np.random.default_rng((self.seed, epoch))
        # Of the places that are left over, each epoch gives one to other classes, so that all get the same number.
        extra = (np.arange(self.images - each * classes) + epoch * (self.images - each * classes)) % classes
        counts = each + np.bincount(extra, minlength=classes)
        drawn = [self._drawn(number, epoch, int(count)) for number, count in enumerate(counts)]
        return rng.permutation(np.concatenate(drawn))

    def _drawn(self, number: int, epoch: int, count: int) -> np.ndarray:
        """Return the images of a class for an epoch, in the order of its endless permutations."""
        members, classes = self.members[number], len(self.members)
        if not count:
            return members[:0]
        each, rest = divmod(self.images, classes)
        # How many of the left-over places of the epochs before went to this class: places are given in turn.
        before = each * epoch + (epoch * rest + classes - 1 - number) // classes
        rounds = range(before // len(members), (before + count - 1) // len(members) + 1)
        endless = np.concatenate(
            [np.random.default_rng((self.seed, number, r, 1)).permutation(members) for r in rounds]
        )
        return endless[before % len(members) :][:count]
