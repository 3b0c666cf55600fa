"""Two models on the same images: what only one classifies correctly, and whether that can be chance (McNemar 1947)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from resnext.errors import ArgumentError


class SideBySide(NamedTuple):
    """Images that both models, one of them or neither classifies correctly, and the p-value of McNemar's exact test.

    The p-value is the probability of a split at least as uneven of the images that only one model classifies correctly,
    if both were equally likely to.
    """

    both: int
    only_first: int
    only_second: int
    neither: int
    p: float


def side_by_side(first: np.ndarray, second: np.ndarray) -> SideBySide:
    """Compare two models.

    Args:
        first: whether the first model is right, bool (images,).
        second: the same for the second model, on the same images.

    Raises:
        ArgumentError: the numbers of images differ.

    >>> round(side_by_side(np.array([True] * 6), np.array([False] * 6)).p, 6)
    0.03125
    """
    if len(first) != len(second):
        raise ArgumentError(f"both models must be evaluated on the same images. Received: {len(first)}, {len(second)}")
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    return SideBySide(
        int((first & second).sum()),
        only_first,
        only_second,
        int((~first & ~second).sum()),
        _two_sided(only_first, only_second),
    )


def _two_sided(first: int, second: int) -> float:
    """Return the two-sided p-value of a binomial test with probability one half."""
    total, least = first + second, min(first, second)
    if first == second:
        return 1.0
    k = np.arange(least + 1)
    log_ways = math.lgamma(total + 1) - np.array([math.lgamma(i + 1) + math.lgamma(total - i + 1) for i in k.tolist()])
    return min(1.0, 2 * float(np.exp(log_ways - total * math.log(2)).sum()))
