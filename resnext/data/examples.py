"""Labelled images, and the sizes of some of them."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from resnext.data.folders import Member
from resnext.errors import ImageError
from resnext.images.decode import read_size

SAMPLED = 200  # images at most


@dataclass(frozen=True, eq=False)
class Examples:
    """Labelled images: files or an array uint8 (N, H, W, 3); `labels`, int32 (N,), index `classes`."""

    images: Sequence[Path | Member] | np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: Sequence[int] | np.ndarray) -> Examples:
        """Return some of the images, in the order of their indices."""
        kept = np.asarray(indices, np.intp)
        images = self.images
        some = images[kept] if isinstance(images, np.ndarray) else [images[i] for i in kept.tolist()]
        return Examples(some, self.labels[kept], self.classes)


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
    for image in (examples.images[index] for index in picked):
        with contextlib.suppress(ImageError):
            sizes.append(image.shape[1::-1] if isinstance(image, np.ndarray) else read_size(image))
    return sizes


def median_side(sizes: Sequence[tuple[int, int]]) -> int:
    """Return the median of the shorter sides; 0 if there are none."""
    return int(statistics.median(map(min, sizes))) if sizes else 0


def median_aspect(sizes: Sequence[tuple[int, int]]) -> float:
    """Return the median of the longer sides over the shorter ones; 1 if there are none."""
    return statistics.median(max(size) / min(size) for size in sizes) if sizes else 1.0
