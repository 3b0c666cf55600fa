"""Average precision: the area under the curve of precision over recall, without interpolation."""

from __future__ import annotations

import numpy as np


class Ranking:
    """The images of each class in the order of their scores; images with the same score stay together.

    Args:
        scores: float (images, classes).
        has: whether each image has each class, bool (images, classes).

    >>> scores = np.array([[0.9], [0.8], [0.7]])
    >>> Ranking(scores, np.array([[True], [False], [True]])).precisions(np.ones(3)).round(4).tolist()
    [0.8333]
    """

    def __init__(self, scores: np.ndarray, has: np.ndarray):
        self.order = np.argsort(-scores, axis=0, kind="stable")
        self.has = np.take_along_axis(has, self.order, axis=0)
        ordered = np.take_along_axis(scores, self.order, axis=0)
        last = np.ones(has.shape, bool)
        last[:-1] = ordered[:-1] != ordered[1:]
        places = np.where(last, np.arange(len(has))[:, None], len(has))
        # The last image with the same score, for each image.
        self.ends = np.minimum.accumulate(places[::-1], axis=0)[::-1]

    def precisions(self, weights: np.ndarray) -> np.ndarray:
        """Return the average precision of each class, float (classes,), as scikit-learn does; NaN without images.

        Args:
            weights: weight of each image, float (images,).
        """
        counted = weights[self.order]
        found = np.where(self.has, counted, 0)
        precision = np.cumsum(found, axis=0) / np.maximum(np.cumsum(counted, axis=0), np.finfo(float).tiny)
        total = found.sum(axis=0)
        summed = (found * np.take_along_axis(precision, self.ends, axis=0)).sum(axis=0)
        return np.where(total > 0, summed / np.where(total > 0, total, 1), np.nan)

    def thresholds(self, probabilities: np.ndarray) -> list[float]:
        """Return the probability from which predictions of each class have the highest F1, 0.5 without images.

        It lies halfway between the last image that is predicted and the next one.

        Args:
            probabilities: float (images, classes), in the same order as the scores.
        """
        ordered = np.take_along_axis(probabilities, self.order, axis=0).astype(np.float64)
        below = np.vstack([ordered[1:], np.zeros((1, ordered.shape[1]))])
        found, counts = np.cumsum(self.has, axis=0), np.arange(1, len(ordered) + 1)[:, None]
        f1 = np.where(self.ends == counts - 1, 2 * found / (found[-1] + counts), -1)
        best = f1.argmax(axis=0)
        columns = np.arange(ordered.shape[1])
        halfway = (ordered[best, columns] + below[best, columns]) / 2
        return np.where(found[-1] > 0, halfway, 0.5).tolist()
