"""A share of the training images, for learning curves over their number."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from resnext.data.examples import by_class
from resnext.data.splits import Splits


def with_train_share(splits: Splits, share: float | None, seed: int) -> Splits:
    """Return splits with a share of the training images of each class, at least one; the other parts stay.

    An image of several classes counts for the rarest of them.

    The images of a smaller share are among those of a larger one, if the seed is the same.

    Args:
        splits: all images.
        share: share to keep, above 0 and at most 1; None keeps all.
        seed: seed of the draw.
    """
    if share is None:
        return splits
    train, kept = splits.train, []
    for indices in by_class(train.labels):
        order = np.random.default_rng(seed).permutation(len(indices))
        kept += indices[order[: math.ceil(share * len(indices))]].tolist()
    line = f"training images: {len(kept):,} of {len(train):,}, by --train-share {share:g}"
    return dataclasses.replace(splits, train=train.take(sorted(kept)), notes=(*splits.notes, line))
