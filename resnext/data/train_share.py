"""A share of the training images, for learning curves over their number."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from resnext.data.examples import Examples
from resnext.data.splits import Splits


def with_train_share(splits: Splits, share: float | None, seed: int) -> Splits:
    """Return splits with a share of the training images of each class, at least one; the other parts stay.

    The images of a smaller share are among those of a larger one, if the seed is the same.

    Args:
        splits: all images.
        share: share to keep, above 0 and at most 1; None keeps all.
        seed: seed of the draw.
    """
    if share is None:
        return splits
    train, kept = splits.train, []
    for label in np.unique(train.labels):
        indices = np.flatnonzero(train.labels == label)
        order = np.random.default_rng(seed).permutation(len(indices))
        kept += indices[order[: math.ceil(share * len(indices))]].tolist()
    kept.sort()
    images = train.images[kept] if isinstance(train.images, np.ndarray) else [train.images[i] for i in kept]
    line = f"training images: {len(kept):,} of {len(train):,}, by --train-share {share:g}"
    return dataclasses.replace(
        splits, train=Examples(images, train.labels[kept], train.classes), notes=(*splits.notes, line)
    )
