"""Labelled images, and the sizes of some of them."""

from __future__ import annotations

import contextlib
import dataclasses
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from resnext.data.folders import Member
from resnext.data.pixels import Pixels
from resnext.errors import ImageError
from resnext.images.decode import read_size
from resnext.images.preprocessing import Channels
from resnext.metrics.labels import HALF, joined

SAMPLED = 200  # images at most


@dataclass(frozen=True, eq=False)
class Examples:
    """Labelled images: files, an array uint8 (N, H, W, 3) or `Pixels`; `labels`, int32 (N,), index `classes`.

    Args:
        images: files, array or pixels.
        labels: class of each image; of several, the rarest, by which images are drawn, and len(classes) without any.
        classes: names of the classes.
        shares: float32 (N, classes), 0 to 1, for images that have several classes or shares of one; else None.
        several: whether an image may have any number of the classes; else the shares of each image sum to 1.
        weights: weight of each image in training, float32 (N,), with the mean 1; None: all weigh the same.
    """

    images: Sequence[Path | Member] | np.ndarray | Pixels
    labels: np.ndarray
    classes: tuple[str, ...]
    shares: np.ndarray | None = None
    several: bool = False
    weights: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def targets(self, indices: Sequence[int] | np.ndarray | slice = slice(None)) -> np.ndarray:
        """Return the share of each class in some of the images, float32 (images, classes).

        >>> Examples(["a.jpg", "b.jpg"], np.array([1, 0]), ("cat", "dog")).targets().tolist()
        [[0.0, 1.0], [1.0, 0.0]]
        """
        if self.shares is not None:
            return self.shares[indices]
        return (self.labels[indices, None] == np.arange(len(self.classes))).astype(np.float32)

    def has(self, indices: Sequence[int] | np.ndarray | slice = slice(None)) -> np.ndarray:
        """Return whether some of the images have each class, bool (images, classes)."""
        if self.several and self.shares is not None:
            return self.shares[indices] >= HALF
        return self.labels[indices, None] == np.arange(len(self.classes))

    def counts(self) -> np.ndarray:
        """Return the number of images of each class, int (classes,); an image of several counts for each of them."""
        if self.several:
            return self.has().sum(axis=0)
        return np.bincount(self.labels, minlength=len(self.classes))

    def name_of_labels(self, index: int) -> str:
        """Return the class of an image, or its classes: "cat; dog"."""
        return joined([self.classes[i] for i in np.flatnonzero(self.has([index])[0])])

    def take(self, indices: Sequence[int] | np.ndarray) -> Examples:
        """Return some of the images, in the order of their indices."""
        kept = np.asarray(indices, np.intp)
        images = self.images
        if isinstance(images, Pixels):
            some = images.take(kept)
        else:
            some = images[kept] if isinstance(images, np.ndarray) else [images[i] for i in kept.tolist()]
        shares, weights = (each if each is None else each[kept] for each in (self.shares, self.weights))
        return dataclasses.replace(self, images=some, labels=self.labels[kept], shares=shares, weights=weights)


def of_channels(examples: Examples, channels: Channels) -> Examples:
    """Return examples whose images are decoded for a network of such channels; files are read so anyway."""
    if isinstance(examples.images, Pixels) and examples.images.channels != channels:
        return dataclasses.replace(examples, images=examples.images.of_channels(channels))
    return examples


def of_shares(
    images: Sequence[Path | Member] | np.ndarray | Pixels, shares: np.ndarray, classes: Sequence[str], several: bool
) -> Examples:
    """Return examples with shares of the classes, float32 (images, classes); `labels` follow from them."""
    if not several:
        return Examples(images, shares.argmax(axis=1).astype(np.int32), tuple(classes), shares)
    has = shares >= HALF
    rarity = np.where(has, has.sum(axis=0), len(shares) + 1)
    labels = np.where(has.any(axis=1), rarity.argmin(axis=1), len(classes))
    return Examples(images, labels.astype(np.int32), tuple(classes), shares, several=True)


def by_class(labels: np.ndarray) -> list[np.ndarray]:
    """Return the indices of the images of each class that has some.

    >>> [indices.tolist() for indices in by_class(np.array([2, 0, 2]))]
    [[1], [0, 2]]
    """
    order = np.argsort(labels, kind="stable")
    _, firsts = np.unique(labels[order], return_index=True)
    return np.split(order, firsts[1:])


def sample_sizes(examples: Examples) -> list[tuple[int, int]]:
    """Return width and height in pixels of up to 200 images, evenly spread; those that can't be read are left out."""
    picked = np.linspace(0, len(examples) - 1, min(SAMPLED, len(examples))).round().astype(int)
    sizes = []
    for index in picked:
        with contextlib.suppress(ImageError):
            image = examples.images[index]
            sizes.append(image.shape[1::-1] if isinstance(image, np.ndarray) else read_size(image))
    return sizes


def median_side(sizes: Sequence[tuple[int, int]]) -> int:
    """Return the median of the shorter sides; 0 if there are none."""
    return int(statistics.median(map(min, sizes))) if sizes else 0


def median_aspect(sizes: Sequence[tuple[int, int]]) -> float:
    """Return the median of the longer sides over the shorter ones; 1 if there are none."""
    return statistics.median(max(size) / min(size) for size in sizes) if sizes else 1.0
