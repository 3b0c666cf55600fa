"""Which images are held out for testing, where the data does not say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from resnext.data.builtin import TEST_SHARE
from resnext.errors import ArgumentError, DataError, printable


@dataclass(frozen=True)
class Draw:
    """How the images to test on are drawn; what is drawn depends only on this and the sorted names of the images.

    Args:
        seed: seed of the drawing.
        held_out: share of each class to hold out; None: one sixth.
        folds: parts for a cross-validation, of which one is held out.
        fold: which one, counted from 1.
        group_by: regular expression that finds the group of an image in its path below the class folders, as its first
            parenthesis or, without one, as all it matches. A group is held out as a whole or not at all.

    Raises:
        ArgumentError: a value is not allowed.
    """

    seed: int = 0
    held_out: float | None = None
    folds: int | None = None
    fold: int | None = None
    group_by: str | None = None

    def __post_init__(self):
        if self.held_out is not None and not 0 < self.held_out < 1:
            raise ArgumentError(f"`held_out` must be a share between 0 and 1. Received: {self.held_out}")
        if (self.folds is None) != (self.fold is None):
            raise ArgumentError(
                f"`folds` and `fold` belong together: 5 and 1 hold out the first fifth. Received: {self.folds} and "
                f"{self.fold}"
            )
        if self.folds is not None and self.fold is not None and not 1 <= self.fold <= self.folds >= 2:
            raise ArgumentError(
                f"`folds` must be 2 or more, and `fold` from 1 to `folds`. Received: {self.folds} and {self.fold}"
            )
        if self.folds and self.held_out:
            raise ArgumentError("`held_out` and `folds` exclude each other: of 5 folds, one fifth is held out")
        try:
            re.compile(self.group_by or "")
        except re.error as error:
            raise ArgumentError(
                f"`group_by` must be a regular expression ({error}). Received: {self.group_by}"
            ) from None

    @property
    def is_given(self) -> bool:
        """Whether more than the seed was chosen."""
        return any((self.held_out, self.folds, self.group_by))


def groups_of(paths: Sequence[str], pattern: str) -> list[str]:
    """Return the group of each path that a regular expression finds. Raises DataError where it finds none."""
    found = [match and match[min(match.re.groups, 1)] for match in (re.search(pattern, path) for path in paths)]
    without = [path for path, group in zip(paths, found, strict=True) if group is None]
    if without:
        raise DataError(
            f"--group-by {pattern!r} finds no group in {len(without):,} of {len(paths):,} paths, the first "
            f"{printable(without[0])}"
        )
    return [str(group) for group in found]


def held_out_mask(labels: np.ndarray, groups: Sequence[str] | None, draw: Draw) -> np.ndarray:
    """Return which images are held out: bool (images,). Of a class with one image, or one group, none is.

    Args:
        labels: class of each image, int (images,), in the order of their names.
        groups: group of each image; None: every image is its own.
        draw: how they are drawn.
    """
    if groups is None:
        return _of_folds(labels, draw) if draw.folds else _of_classes(labels, draw)
    return _of_groups(labels, groups, draw)


def _of_classes(labels: np.ndarray, draw: Draw) -> np.ndarray:
    """Hold out a share of each class, drawn by a generator of its own, so that no class changes another's."""
    mask = np.zeros(len(labels), bool)
    for indices in _by_class(labels):
        order = np.random.default_rng(draw.seed).permutation(len(indices))
        wanted = round(draw.held_out * len(indices)) if draw.held_out else len(indices) // TEST_SHARE
        count = min(max(wanted, 1), len(indices) - 1)
        mask[indices[order[:count]]] = True
    return mask


def _of_folds(labels: np.ndarray, draw: Draw) -> np.ndarray:
    """Hold out every K-th image of each class in a drawn order; each class begins with another fold."""
    mask, folds, fold = np.zeros(len(labels), bool), draw.folds or 1, draw.fold or 1
    for number, indices in enumerate(_by_class(labels)):
        if len(indices) > 1:
            order = np.random.default_rng(draw.seed).permutation(len(indices))
            mask[indices[order[(fold - 1 - number) % folds :: folds]]] = True
    return mask


def _of_groups(labels: np.ndarray, groups: Sequence[str], draw: Draw) -> np.ndarray:
    """Deal whole groups, the largest first, each to the bin that it brings nearest to its share of every class."""
    names, numbers = np.unique(np.array(groups), return_inverse=True)
    wanted = _shares(draw)
    totals = np.bincount(labels)
    filled = np.zeros((len(wanted), len(totals)))
    bins = np.zeros(len(names), int)
    order = np.random.default_rng(draw.seed).permutation(len(names))
    sizes = np.bincount(numbers)
    members = np.split(np.argsort(numbers, kind="stable"), np.cumsum(sizes)[:-1])
    for group in order[np.argsort(-sizes[order], kind="stable")]:
        classes, counts = np.unique(labels[members[group]], return_counts=True)
        if (counts == totals[classes]).any():  # all of a class: always to train on
            bins[group] = -1
            continue
        goals = wanted[:, None] * totals[classes]
        now, then = filled[:, classes] - goals, filled[:, classes] + counts - goals
        cost = ((then**2 - now**2) / goals).sum(axis=1)
        bins[group] = int(cost.argmin())
        filled[bins[group], classes] += counts
    if not draw.folds and not (bins == 0).any():  # a share below the smallest group
        smallest = [group for group in order[np.argsort(sizes[order], kind="stable")] if bins[group] > 0]
        bins[smallest[:1]] = 0
    return bins[numbers] == (draw.fold or 1) - 1


def _shares(draw: Draw) -> np.ndarray:
    """Return the share of each bin; the first, or the fold's, is held out."""
    if draw.folds:
        return np.full(draw.folds, 1 / draw.folds)
    share = draw.held_out or 1 / TEST_SHARE
    return np.array([share, 1 - share])


def _by_class(labels: np.ndarray) -> list[np.ndarray]:
    """Return the indices of the images of each class that has some."""
    order = np.argsort(labels, kind="stable")
    _, firsts = np.unique(labels[order], return_index=True)
    return np.split(order, firsts[1:])
