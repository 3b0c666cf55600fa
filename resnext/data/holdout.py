"""The choice of the images to test on, if the data has none of its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from resnext.data.copies import first_copies, firsts_by_hash
from resnext.data.examples import Examples, by_class
from resnext.data.folders import composed
from resnext.data.seen import FREE, HELD_OUT, TRAINED, Seen
from resnext.data.splits import Splits
from resnext.errors import ArgumentError, DataError, counted, printable

TEST_SHARE = 6  # one image in six, like the 10,000 of 60,000 in CIFAR-10


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
                "`folds` and `fold` belong together: 5 and 1 hold out the first fifth (cross_validate trains for all). "
                f"Received: {self.folds} and {self.fold}"
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


def drawn_splits(
    train: Examples, paths: Sequence[str], groups: Sequence[str] | None, holdout: Holdout, seen: Seen | None = None
) -> Splits:
    """Hold out some of the training images; copies of an image, files with the same bytes, stay on one side.

    Args:
        train: all images.
        paths: their paths.
        groups: their groups, which are never split; None: every image is its own.
        holdout: how they are drawn.
        seen: images that must stay on the side on which an earlier run had them.

    Raises:
        DataError: none would be held out, or all of a class; or groups or folds contradict what was seen.
    """
    kinds, hashes = seen.kinds(train, paths) if seen else (np.full(len(train), FREE, np.int8), [])
    firsts, lone = _apart(firsts_by_hash(hashes) if hashes else first_copies(train.images), train.labels, kinds)
    originals, places = np.unique(firsts, return_inverse=True)
    merged = None if groups is None else _merged(groups, firsts)
    labels = train.labels[originals]
    drawn = held_out_mask(labels, merged and [merged[i] for i in originals], holdout, kinds[originals])
    mask = drawn[places]
    if seen:
        _check_seen(train, mask, kinds, holdout, seen)
    copies = len(train) - len(originals)
    _check_mask(train, mask, groups, holdout, copies)
    notes = _about_copies(train.classes, lone, copies) + (_about_seen(mask, kinds, seen) if seen else ())
    return _parted(train, paths, mask, notes)


def splits_of(train: Examples, paths: Sequence[str], held_out: Sequence[str]) -> Splits:
    """Return the splits in which the images with these paths are held out; those that are missing are left out."""
    wanted = {composed(path) for path in held_out}
    mask = np.array([composed(path) in wanted for path in paths])
    return _parted(train, paths, mask)


def _parted(train: Examples, paths: Sequence[str], mask: np.ndarray, notes: tuple[str, ...] = ()) -> Splits:
    """Return the splits in which the images of a mask are held out."""
    held_out = train.take(np.flatnonzero(mask))
    names = tuple(paths[i] for i in np.flatnonzero(mask).tolist())
    return Splits(train.take(np.flatnonzero(~mask)), held_out, held_out, names, notes)


def _check_mask(train: Examples, mask: np.ndarray, groups: Sequence[str] | None, holdout: Holdout, copies: int) -> None:
    """Raise DataError if no image is held out, or all of a class."""
    if not mask.any() and holdout.folds:
        raise DataError(
            f"fold {holdout.fold} of {holdout.folds} is empty, because there are too few "
            f"{'images' if groups is None else 'groups'} in a class; use fewer --folds"
        )
    if not mask.any():
        raise DataError(
            f"every class has one {'image' if groups is None else 'group'} only"
            f"{f', apart from {copies:,} copies of the same bytes' if copies else ''}, which leaves none for testing; "
            "add images: at least one class needs two"
        )
    lost = np.flatnonzero((train.counts() > 0) & (train.take(np.flatnonzero(~mask)).counts() == 0))
    if len(lost):
        raise DataError(
            f"the class {train.classes[lost[0]]!r} would be held out completely, because its images are in few groups; "
            "draw by another --seed, or add images of other groups"
        )


def _check_seen(train: Examples, mask: np.ndarray, kinds: np.ndarray, holdout: Holdout, seen: Seen) -> None:
    """Raise DataError if an image would be tested on that the run was trained on, or the other way round.

    Raises:
        DataError: also if the run was trained on all images, or held out all of a class.
    """
    if not mask.any() and (kinds == TRAINED).any():
        raise DataError(
            f"{seen.run} was trained on {int((kinds == TRAINED).sum()):,} of these {len(kinds):,} images, which leaves "
            "none to test on. Add images that it has not seen, pass a test/, or start from other weights"
        )
    for label in sorted({*train.labels[mask].tolist()} - {*train.labels[~mask].tolist(), len(train.classes)}):
        if (kinds[train.labels == label] == HELD_OUT).all():
            raise DataError(
                f"{seen.run} held out all images of the class {train.classes[label]!r}, which leaves none to train on. "
                "Add images of it"
            )
    for wrong, before, now in ((mask & (kinds == TRAINED), "trained on", "held out"),
                               (~mask & (kinds == HELD_OUT), "held out", "trained on")):  # fmt: skip
        if wrong.any():
            why = "this fold" if holdout.folds else "these groups"
            raise DataError(
                f"{counted(int(wrong.sum()), 'image')} that {seen.run} {before} would be {now} by {why}. Leave "
                f"{'--folds' if holdout.folds else 'the groups'} out, or start from other weights"
            )


def _apart(firsts: np.ndarray, labels: np.ndarray, kinds: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """Let the copies stand for themselves in classes that have nothing else, and return these classes as well.

    Such a class could not be tested on. Copies of what was seen before never stand for themselves.
    """
    firsts, lone = firsts.copy(), []
    for indices in by_class(labels):
        if len(indices) > 1 and (firsts[indices] == indices).sum() < 2 and (kinds[indices] == FREE).all():
            firsts[indices] = indices
            lone.append(int(labels[indices[0]]))
    return firsts, lone


def _about_copies(classes: Sequence[str], lone: Sequence[int], copies: int) -> tuple[str, ...]:
    """Return lines about copies that stay together, and about classes whose images are all copies."""
    lines = [f"copies: all images of {classes[label]!r} have the same bytes, so that its accuracy means nothing"
             for label in lone if label < len(classes)]  # fmt: skip
    if copies:
        images = counted(copies, "image")
        lines.append(f"copies: {images} with the same bytes as another; an image and its copies stay together")
    return tuple(lines)


def _about_seen(mask: np.ndarray, kinds: np.ndarray, seen: Seen) -> tuple[str, ...]:
    """Return a line that states which images are held out if some were seen before."""
    new, free = int((mask & (kinds == FREE)).sum()), int((kinds == FREE).sum())
    before = counted(int((mask & (kinds == HELD_OUT)).sum()), "image")
    drawn = f"and {new:,} of the {free:,} that it has not seen" if free else "which are all that it has not seen"
    return (f"held out: {before} that {seen.run} held out, {drawn}",)


def _merged(groups: Sequence[str], firsts: np.ndarray) -> list[str]:
    """Return the groups with one name for all that contain copies of the same image."""
    parent = {group: group for group in groups}

    def root(group: str) -> str:
        while parent[group] != group:
            group = parent[group]
        return group

    for index in np.flatnonzero(firsts != np.arange(len(firsts))).tolist():
        parent[root(groups[index])] = root(groups[int(firsts[index])])
    return [root(group) for group in groups]


def held_out_mask(
    labels: np.ndarray, groups: Sequence[str] | None, holdout: Holdout, kinds: np.ndarray | None = None
) -> np.ndarray:
    """Return which images are held out: bool (images,). A class with one image, or one group, keeps it for training.

    Args:
        labels: class of each image, int (images,), in the order of their names.
        groups: group of each image; None: every image is its own.
        holdout: how they are drawn.
        kinds: whether each image was seen before (`resnext.data.seen`), int8 (images,); None: none was. Those that were
            keep their side. Folds do not regard it.
    """
    kinds = np.full(len(labels), FREE, np.int8) if kinds is None else kinds
    if groups is None:
        return _hold_out_fold(labels, holdout) if holdout.folds else _hold_out_of_classes(labels, holdout, kinds)
    return _hold_out_groups(labels, groups, holdout, kinds)


def _hold_out_of_classes(labels: np.ndarray, holdout: Holdout, kinds: np.ndarray) -> np.ndarray:
    """Hold out a share of each class, drawn by its own generator, so that no class affects another's draw."""
    mask = kinds == HELD_OUT
    for indices in by_class(labels):
        order = indices[np.random.default_rng(holdout.seed).permutation(len(indices))]
        wanted = round(holdout.held_out * len(indices)) if holdout.held_out else len(indices) // TEST_SHARE
        count = min(max(wanted, 1), len(indices) - 1) - int(mask[indices].sum())
        mask[order[kinds[order] == FREE][: max(count, 0)]] = True
    return mask


def _hold_out_fold(labels: np.ndarray, holdout: Holdout) -> np.ndarray:
    """Hold out every K-th image of each class in a random order; each class begins with a different fold."""
    mask, folds, fold = np.zeros(len(labels), bool), holdout.folds or 1, holdout.fold or 1
    for number, indices in enumerate(by_class(labels)):
        if len(indices) > 1:
            order = np.random.default_rng(holdout.seed).permutation(len(indices))
            mask[indices[order[(fold - 1 - number) % folds :: folds]]] = True
    return mask


def _hold_out_groups(labels: np.ndarray, groups: Sequence[str], holdout: Holdout, kinds: np.ndarray) -> np.ndarray:
    """Assign whole groups greedily, largest first, each to the bin whose class shares it then matches best.

    Groups with images that were seen come first, each on the side that most of these had.
    """
    names, numbers = np.unique(np.array(groups), return_inverse=True)
    wanted = _shares(holdout)
    totals = np.bincount(labels)
    filled = np.zeros((len(wanted), len(totals)))
    bins = np.zeros(len(names), int)
    order = np.random.default_rng(holdout.seed).permutation(len(names))
    sizes = np.bincount(numbers)
    members = np.split(np.argsort(numbers, kind="stable"), np.cumsum(sizes)[:-1])
    side = np.bincount(numbers, weights=kinds)
    for group in order[np.lexsort((-sizes[order], side[order] == 0))]:
        classes, counts = np.unique(labels[members[group]], return_counts=True)
        if side[group] and not holdout.folds:
            bins[group] = 0 if side[group] > 0 else 1
            filled[bins[group], classes] += counts
            continue
        if (counts == totals[classes]).any():  # all of a class: always for training
            bins[group] = -1
            continue
        goals = wanted[:, None] * totals[classes]
        now, then = filled[:, classes] - goals, filled[:, classes] + counts - goals
        cost = ((then**2 - now**2) / goals).sum(axis=1)
        bins[group] = int(cost.argmin())
        filled[bins[group], classes] += counts
    if not holdout.folds and not (bins == 0).any():  # a share below the smallest group
        by_size = order[np.argsort(sizes[order], kind="stable")]
        smallest = [group for group in by_size if bins[group] > 0 and not side[group]]
        bins[smallest[:1]] = 0
    return bins[numbers] == (holdout.fold or 1) - 1


def _shares(holdout: Holdout) -> np.ndarray:
    """Return the share of each bin; the first, or the fold's, is held out."""
    if holdout.folds:
        return np.full(holdout.folds, 1 / holdout.folds)
    share = holdout.held_out or 1 / TEST_SHARE
    return np.array([share, 1 - share])
