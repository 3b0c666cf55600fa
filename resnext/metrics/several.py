"""The predictions of a network that gives each image any number of labels, and their quality."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from resnext.metrics.average_precision import Ranking
from resnext.metrics.calibration import TEMPERATURES, best_temperature
from resnext.metrics.evaluation import RESAMPLES, Counts, Evaluation, Mistake
from resnext.metrics.intervals import CONFIDENCE
from resnext.metrics.labels import HALF, joined
from resnext.metrics.probabilities import sigmoid

MOST_SORTED = 100_000_000  # values that the bootstrap of intervals reads, about


@dataclass(frozen=True, eq=False, repr=False)
class LabelsEvaluation:
    """A network's predictions for images with any number of labels each.

    Args:
        classes: class names.
        has: whether each image has each class, bool (images, classes).
        logits: float32 (images, classes).
        thresholds: probability from which an image is predicted to have a class, float (classes,).
    """

    classes: tuple[str, ...]
    has: np.ndarray
    logits: np.ndarray
    thresholds: np.ndarray

    MAIN: ClassVar = "map"
    RIGHT: ClassVar = "exact_match"

    @classmethod
    def of(
        cls, classes: tuple[str, ...], shares: np.ndarray, rows: Iterable[np.ndarray], thresholds: Iterable[float] = ()
    ) -> LabelsEvaluation:
        """Return the evaluation of logits.

        Args:
            classes: class names.
            shares: share of each class in each image, float32 (images, classes); it has those from one half.
            rows: logits of the next images, float32 (images, classes), part by part.
            thresholds: of the classes; none: 0.5 for all.

        >>> of = LabelsEvaluation.of(("a", "b"), np.array([[1, 0], [1, 1]]), [np.array([[2.0, -1.0], [1.0, 3.0]])])
        >>> of.metrics()["map"]
        1.0
        """
        given = [*thresholds] or [HALF] * len(classes)
        return cls(classes, shares >= HALF, np.concatenate([*rows]), np.array(given, np.float64))

    def __len__(self) -> int:
        return len(self.has)

    @property
    def images(self) -> np.ndarray:
        """The number of images of each class, int (classes,)."""
        return self.has.sum(axis=0)

    @functools.cached_property
    def predicted(self) -> np.ndarray:
        """Whether each image is predicted to have each class, bool (images, classes)."""
        return sigmoid(self.logits) >= self.thresholds

    @functools.cached_property
    def losses(self) -> np.ndarray:
        """The binary cross-entropy of each image, in nats, the mean over its classes: float64 (images,)."""
        return _losses(self.logits, self.has).mean(axis=1)

    @property
    def loss(self) -> float:
        """The mean of the losses."""
        return float(self.losses.mean())

    @property
    def accuracy(self) -> float:
        """The share of all answers, yes or no for each class, that are right at 0.5."""
        return float(((self.logits > 0) == self.has).mean())

    @property
    def right(self) -> np.ndarray:
        """Whether all labels of each image are right, bool (images,)."""
        return (self.predicted == self.has).all(axis=1)

    def answer(self, image: int) -> str:
        """Return the predicted labels of an image: "cat; dog"."""
        return self.names(self.predicted[image])

    def __repr__(self) -> str:
        return f"Evaluation({self.headline} of {len(self):,} images, {len(self.classes):,} classes)"

    def _repr_html_(self) -> str:
        from resnext.metrics.notebook import html_of_evaluation

        return html_of_evaluation(self)

    @property
    def headline(self) -> str:
        """The metric by which networks are compared, in words."""
        return f"mAP {100 * self.metrics()['map']:.2f} %"

    @property
    def baseline(self) -> float:
        """The mean average precision of a random order: the mean share of images that have a class."""
        shown = self.images > 0
        return float(self.has.mean(axis=0)[shown].mean()) if shown.any() else 0.0

    @property
    def temperature(self) -> float:
        """The divisor of the logits that gives the lowest loss on these images (Guo et al. 2017)."""
        at = [_losses(self.logits / np.float32(each), self.has).mean() for each in TEMPERATURES]
        return best_temperature(np.array(at))

    def metrics(self) -> dict[str, float]:
        """Return the metrics by name: shares from 0 to 1, and the log loss in nats.

        `map` is the mean average precision over the classes that have images; `micro_f1` counts all answers together,
        `macro_f1`, `macro_precision` and `macro_recall` are means over the classes that have images or predictions, at
        their thresholds; `exact_match` is the share of images whose labels are all right.
        """
        return self._metrics(np.ones(len(self)))

    def _metrics(self, weights: np.ndarray) -> dict[str, float]:
        """Return the metrics with a weight for each image, float (images,): the times that it counts."""
        counts = _counts(self.has, self.predicted, weights)
        precisions, some = self._ranking.precisions(weights), counts.images + counts.predictions > 0
        f1, precision, recall = (
            float(each[some].mean()) if some.any() else 0.0 for each in (counts.f1, counts.precision, counts.recall)
        )
        return {
            "map": float(np.nanmean(precisions)) if (~np.isnan(precisions)).any() else 0.0,
            "micro_f1": float(2 * counts.right.sum() / max(counts.images.sum() + counts.predictions.sum(), 1)),
            "macro_f1": f1,
            "macro_precision": precision,
            "macro_recall": recall,
            "exact_match": float(weights @ self.right / weights.sum()),
            "log_loss": float(weights @ self.losses / weights.sum()),
        }

    @functools.cached_property
    def _ranking(self) -> Ranking:
        return Ranking(self.logits, self.has)

    def intervals(self, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, tuple[float, float]]:
        """Return the 95 % interval of each metric: percentiles of a bootstrap over the images.

        Args:
            resamples: number of draws; fewer are made for many images and classes.
            seed: seed of the draws.
        """
        draws, total = np.random.default_rng(seed), len(self)
        resamples = max(100, min(resamples, MOST_SORTED // self.has.size))
        counts = (np.bincount(draws.integers(total, size=total), minlength=total) for _ in range(resamples))
        values = [[*self._metrics(each.astype(np.float64)).values()] for each in counts]
        tail = 50 * (1 - CONFIDENCE)
        low, high = np.percentile(values, (tail, 100 - tail), axis=0).tolist()
        return dict(zip(self.metrics(), zip(low, high, strict=True), strict=True))

    def best_thresholds(self) -> list[float]:
        """Return the threshold of each class that gives it the highest F1 on these images; 0.5 without images."""
        return self._ranking.thresholds(sigmoid(self.logits))

    def fitted(self) -> LabelsEvaluation:
        """Return the same evaluation at the best thresholds."""
        return LabelsEvaluation(self.classes, self.has, self.logits, np.array(self.best_thresholds()))

    def class_metrics(self) -> list[LabelMetrics]:
        """Return the metrics of each class that has images or predictions, in the order of the classes."""
        ones = np.ones(len(self))
        counts, precisions = _counts(self.has, self.predicted, ones), self._ranking.precisions(ones)
        known = [None if np.isnan(precision) else float(precision) for precision in precisions]
        columns = (*(each.tolist() for each in (counts.precision, counts.recall, counts.f1)), known)
        rows = zip(
            self.classes, counts.images.astype(int).tolist(), *columns, self.thresholds.tolist(), strict=True
        )  # fmt: skip
        shown = counts.images + counts.predictions > 0
        return [LabelMetrics(*row) for row, is_shown in zip(rows, shown, strict=True) if is_shown]

    def mistakes(self) -> list[Mistake]:
        """Return the images with a wrong label, the one with the highest loss first.

        The probability is that of the label that is most wrong.
        """
        worst_first = np.argsort(-self.losses, kind="stable")
        wrong = worst_first[~self.right[worst_first]]
        worst = np.where(self.has != self.predicted, np.abs(self.has - sigmoid(self.logits)), -1).argmax(axis=1)
        return [
            Mistake(i, self.names(self.has[i]), self.names(self.predicted[i]), float(sigmoid(self.logits[i, worst[i]])))
            for i in wrong.tolist()
        ]

    def names(self, has: np.ndarray) -> str:
        """Return the names of some classes, bool (classes,): "cat; dog"."""
        return joined([name for name, is_there in zip(self.classes, has, strict=True) if is_there])


AnyEvaluation = Evaluation | LabelsEvaluation


def fitted(evaluation: AnyEvaluation) -> AnyEvaluation:
    """Return an evaluation; that of several labels at the thresholds that suit its own images best."""
    return evaluation.fitted() if isinstance(evaluation, LabelsEvaluation) else evaluation


class LabelMetrics(NamedTuple):
    """The metrics of one class; a share of nothing is 0."""

    name: str
    images: int
    precision: float  # at the threshold, as the next two
    recall: float
    f1: float
    average_precision: float | None  # None without images
    threshold: float


def _counts(has: np.ndarray, predicted: np.ndarray, times: np.ndarray) -> Counts:
    """Return the counts of images that count several times each, whole numbers (images,)."""
    return Counts(times @ has, times @ predicted, times @ (has & predicted))


def _losses(logits: np.ndarray, has: np.ndarray) -> np.ndarray:
    """Return the binary cross-entropy of each answer, float64 (images, classes)."""
    return np.logaddexp(0, np.where(has, -logits, logits).astype(np.float64))
