"""Confidence intervals of shares."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

CONFIDENCE = 0.95


def wilson(count: int, total: int) -> tuple[float, float]:
    """Return the 95 % interval of a share by Wilson's score (1927), which is not a point if all or none count.

    Source: https://doi.org/10.1080/01621459.1927.10502953.

    Args:
        count: images that count.
        total: all images, at least one.

    >>> [round(bound, 3) for bound in wilson(32, 32)]
    [0.893, 1.0]
    """
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    share, spread = count / total, z * z / total
    centre = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / total + spread / total / 4)
    return (0.0 if count == 0 else centre - half), (1.0 if count == total else centre + half)


def wilson_of_mean(counts: np.ndarray, totals: np.ndarray) -> tuple[float, float]:
    """Return the 95 % interval of the mean of independent shares, each of whose own is Wilson's.

    The distances from the shares to their bounds are combined as by Zou and Donner (2008,
    https://doi.org/10.1002/sim.3095): the square root of the sum of their squares.

    Args:
        counts: images that count in each group, int (groups,).
        totals: all images of each group, int (groups,), at least one.
    """
    bounds = np.array([wilson(*pair) for pair in zip(counts.tolist(), totals.tolist(), strict=True)])
    shares, groups = counts / totals, len(totals)
    below, above = (np.sqrt(((shares - bound) ** 2).sum()) / groups for bound in bounds.T)
    return max(0.0, float(shares.mean() - below)), min(1.0, float(shares.mean() + above))
