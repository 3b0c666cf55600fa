"""The accuracy of each group of images: of one camera, person or site."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from resnext.metrics.intervals import wilson


class GroupAccuracy(NamedTuple):
    """The top-1 accuracy on the images that have one value, with its 95 % interval by Wilson."""

    value: str
    images: int
    top1: float
    interval: tuple[float, float]


def accuracy_by_group(right: np.ndarray, values: Sequence[str]) -> list[GroupAccuracy]:
    """Return the accuracy for each value, the lowest first.

    Args:
        right: whether each image is classified correctly, bool (images,).
        values: value of each image.

    >>> [(group.value, group.top1) for group in accuracy_by_group(np.array([True, False, True]), ["a", "b", "a"])]
    [('b', 0.0), ('a', 1.0)]
    """
    names, places = np.unique(np.array(values, dtype=object).astype(str), return_inverse=True)
    totals, counts = np.bincount(places), np.bincount(places, weights=right).astype(int)
    rows = zip(names.tolist(), totals.tolist(), counts.tolist(), strict=True)
    groups = [GroupAccuracy(name, total, count / total, wilson(count, total)) for name, total, count in rows]
    return sorted(groups, key=lambda group: group.top1)
