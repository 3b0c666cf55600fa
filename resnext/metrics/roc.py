"""The area under the ROC curve."""

from __future__ import annotations

import numpy as np


def roc_auc(positive: np.ndarray, scores: np.ndarray) -> float:
    """Return the chance that a positive image scores above a negative one; a tie counts one half.

    Source: Hanley and McNeil 1982, https://doi.org/10.1148/radiology.143.1.7063747.

    Args:
        positive: whether each image is positive, bool (images,); some are, and some are not.
        scores: score of each image, float (images,).

    >>> roc_auc(np.array([False, True, False, True]), np.array([0.1, 0.4, 0.35, 0.8]))
    1.0
    """
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2  # the mean rank of equal scores
    many, few = int(positive.sum()), int((~positive).sum())
    return float((ranks[places][positive].sum() - many * (many + 1) / 2) / (many * few))
