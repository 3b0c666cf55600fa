"""The parts of a data set, and the choice of test images if the data does not define them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from resnext.data.examples import Examples
from resnext.data.folders import file_size, sha256_of
from resnext.errors import ArgumentError, DataError, one_line, printable

SAMPLED = 200  # files whose bytes are compared before a training is resumed
TEST_SHARE = 6  # one image in six, like the 10,000 of 60,000 in CIFAR-10


@dataclass(frozen=True, eq=False)
class Splits:
    """The three parts of a data set; `validation` and `test` may be the same object."""

    train: Examples
    validation: Examples
    test: Examples
    held_out: tuple[str, ...] = ()  # paths of a randomly drawn test part, relative to the folder of the class folders


def fingerprint(splits: Splits) -> str:
    """Return a digest that identifies the images, wherever they are stored.

    Files count by class and file name, arrays by their bytes.
    """
    digest = hashlib.sha256()
    for part in (splits.train, splits.validation, splits.test):
        if isinstance(part.images, np.ndarray):
            digest.update(np.asarray(part.images).tobytes())
        else:
            names = "\0".join(str(image).rsplit("/", 1)[-1] for image in part.images)
            digest.update(names.encode("utf-8", "surrogateescape"))
        digest.update(part.labels.tobytes() + repr(part.classes).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def contents_sha256(splits: Splits, seed: int) -> str:
    """Return a digest of the content of the files: the size of each, and the bytes of some that a seed draws.

    Raises:
        DataError: a file can't be read.
    """
    files = [image for part in dict.fromkeys((splits.train, splits.validation, splits.test)) for image in part.images]
    files = [file for file in files if not isinstance(file, np.ndarray)]  # `fingerprint` has those of arrays
    digest = hashlib.sha256()
    try:
        digest.update(np.array([file_size(file) for file in files], "<i8").tobytes())
        drawn = np.random.default_rng(seed).choice(len(files), min(SAMPLED, len(files)), replace=False)
        for index in sorted(drawn.tolist()):
            digest.update(sha256_of(files[index]))
    except (OSError, ValueError) as error:
        raise DataError(f"an image can't be read: {one_line(error)}") from error
    return digest.hexdigest()


@dataclass(frozen=True)
class Holdout:
    """How the test images are drawn; the draw depends only on this and the sorted names of the images.

    Args:
        seed: seed of the drawing.
        held_out: share of each class to hold out; None: one sixth.
        folds: parts for a cross-validation, of which one is held out.
        fold: number of that part, counted from 1.
        group_by: regular expression that finds the group of an image in its path below the class folders, as its first
            parenthesis or, without one, as the complete match. A group is never split.

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
            raise ArgumentError("`held_out` and `folds` cannot be combined: with 5 folds, one fifth is held out")
        try:
            re.compile(self.group_by or "")
        except re.error as error:
            raise ArgumentError(
                f"`group_by` must be a regular expression ({error}). Received: {self.group_by}"
            ) from None

    @property
    def is_given(self) -> bool:
        """Whether anything besides the seed was chosen."""
        return any((self.held_out, self.folds, self.group_by))


def groups_of(paths: Sequence[str], pattern: str) -> list[str]:
    """Return the group that a regular expression finds in each path. Raises DataError if it finds none."""
    found = [match and match[min(match.re.groups, 1)] for match in (re.search(pattern, path) for path in paths)]
    without = [path for path, group in zip(paths, found, strict=True) if group is None]
    if without:
        raise DataError(
            f"--group-by {pattern!r} finds no group in {len(without):,} of {len(paths):,} paths, the first "
            f"{printable(without[0])}"
        )
    return [str(group) for group in found]


def drawn_splits(train: Examples, paths: Sequence[str], groups: Sequence[str] | None, holdout: Holdout) -> Splits:
    """Hold out some of the training images. Raises DataError if that would be none of them, or all of a class."""
    mask = held_out_mask(train.labels, groups, holdout)
    if not mask.any() and holdout.folds:
        raise DataError(
            f"fold {holdout.fold} of {holdout.folds} is empty, because there are too few "
            f"{'images' if groups is None else 'groups'} in a class; use fewer --folds"
        )
    if not mask.any():
        raise DataError(
            f"every class has one {'image' if groups is None else 'group'} only, which leaves none for testing; "
            "add images: at least one class needs two"
        )
    if lost := sorted({*train.labels.tolist()} - {*train.labels[~mask].tolist()}):
        raise DataError(
            f"the class {train.classes[lost[0]]!r} would be held out completely, because its images are in few groups; "
            "draw by another --seed, or add images of other groups"
        )
    parts = [np.flatnonzero(kept).tolist() for kept in (~mask, mask)]
    kept, held_out = (Examples([train.images[i] for i in part], train.labels[part], train.classes) for part in parts)
    return Splits(kept, held_out, held_out, tuple(paths[i] for i in parts[1]))


def held_out_mask(labels: np.ndarray, groups: Sequence[str] | None, holdout: Holdout) -> np.ndarray:
    """Return which images are held out: bool (images,). A class with one image, or one group, keeps it for training.

    Args:
        labels: class of each image, int (images,), in the order of their names.
        groups: group of each image; None: every image is its own.
        holdout: how they are drawn.
    """
    if groups is None:
        return _hold_out_fold(labels, holdout) if holdout.folds else _hold_out_of_classes(labels, holdout)
    return _hold_out_groups(labels, groups, holdout)


def _hold_out_of_classes(labels: np.ndarray, holdout: Holdout) -> np.ndarray:
    """Hold out a share of each class, drawn by its own generator, so that no class affects another's draw."""
    mask = np.zeros(len(labels), bool)
    for indices in _by_class(labels):
        order = np.random.default_rng(holdout.seed).permutation(len(indices))
        wanted = round(holdout.held_out * len(indices)) if holdout.held_out else len(indices) // TEST_SHARE
        count = min(max(wanted, 1), len(indices) - 1)
        mask[indices[order[:count]]] = True
    return mask


def _hold_out_fold(labels: np.ndarray, holdout: Holdout) -> np.ndarray:
    """Hold out every K-th image of each class in a random order; each class begins with a different fold."""
    mask, folds, fold = np.zeros(len(labels), bool), holdout.folds or 1, holdout.fold or 1
    for number, indices in enumerate(_by_class(labels)):
        if len(indices) > 1:
            order = np.random.default_rng(holdout.seed).permutation(len(indices))
            mask[indices[order[(fold - 1 - number) % folds :: folds]]] = True
    return mask


def _hold_out_groups(labels: np.ndarray, groups: Sequence[str], holdout: Holdout) -> np.ndarray:
    """Assign whole groups greedily, largest first, each to the bin whose class shares it then matches best."""
    names, numbers = np.unique(np.array(groups), return_inverse=True)
    wanted = _shares(holdout)
    totals = np.bincount(labels)
    filled = np.zeros((len(wanted), len(totals)))
    bins = np.zeros(len(names), int)
    order = np.random.default_rng(holdout.seed).permutation(len(names))
    sizes = np.bincount(numbers)
    members = np.split(np.argsort(numbers, kind="stable"), np.cumsum(sizes)[:-1])
    for group in order[np.argsort(-sizes[order], kind="stable")]:
        classes, counts = np.unique(labels[members[group]], return_counts=True)
        if (counts == totals[classes]).any():  # all of a class: always for training
            bins[group] = -1
            continue
        goals = wanted[:, None] * totals[classes]
        now, then = filled[:, classes] - goals, filled[:, classes] + counts - goals
        cost = ((then**2 - now**2) / goals).sum(axis=1)
        bins[group] = int(cost.argmin())
        filled[bins[group], classes] += counts
    if not holdout.folds and not (bins == 0).any():  # a share below the smallest group
        smallest = [group for group in order[np.argsort(sizes[order], kind="stable")] if bins[group] > 0]
        bins[smallest[:1]] = 0
    return bins[numbers] == (holdout.fold or 1) - 1


def _shares(holdout: Holdout) -> np.ndarray:
    """Return the share of each bin; the first, or the fold's, is held out."""
    if holdout.folds:
        return np.full(holdout.folds, 1 / holdout.folds)
    share = holdout.held_out or 1 / TEST_SHARE
    return np.array([share, 1 - share])


def _by_class(labels: np.ndarray) -> list[np.ndarray]:
    """Return the indices of the images of each class that has some."""
    order = np.argsort(labels, kind="stable")
    _, firsts = np.unique(labels[order], return_index=True)
    return np.split(order, firsts[1:])
