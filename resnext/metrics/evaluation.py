"""The predictions of a network for labelled images, and their quality."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from resnext.metrics.calibration import best_temperature, calibration_error, losses_at, probability_at
from resnext.metrics.intervals import CONFIDENCE, wilson, wilson_of_mean
from resnext.metrics.roc import roc_auc

RESAMPLES = 1_000  # of the bootstrap


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """A network's predictions for labelled images: a few numbers for each, however many classes there are."""

    classes: tuple[str, ...]
    labels: np.ndarray  # int32 (images,)
    losses: np.ndarray  # float32 (images,): cross-entropy in nats
    ranks: np.ndarray  # int32 (images,): rank of the true class, 1 for the most probable; ties and NaN count against it
    predicted: np.ndarray  # int32 (images,): the most probable class
    probabilities: np.ndarray  # float32 (images,): of the predicted class
    calibrated: np.ndarray  # float32 (images,): the same at the temperature passed
    losses_by_temperature: np.ndarray  # float64 (temperatures,): the mean loss at each of `calibration.TEMPERATURES`

    # Among the metrics: the one by which networks are compared, and the share of the images that are right.
    MAIN: ClassVar = "top1"
    RIGHT: ClassVar = "top1"

    @classmethod
    def of(
        cls, classes: tuple[str, ...], labels: np.ndarray, rows: Iterable[np.ndarray], temperature: float = 1.0
    ) -> Evaluation:
        """Return the evaluation of log-probabilities.

        Args:
            classes: class names.
            labels: class of each image, int32 (images,).
            rows: log-probabilities of the next images, float32 (images, classes), part by part; none is kept.
            temperature: divisor of the logits for calibrated probabilities.

        >>> Evaluation.of(("a", "b"), np.array([0, 0]), [np.log([[0.9, 0.1], [0.2, 0.8]])]).top(1)
        0.5
        """
        parts, first, totals = [], 0, np.zeros(())
        for log_probabilities in rows:
            images = np.arange(len(log_probabilities))
            own_labels = labels[first : first + len(images)]
            own = log_probabilities[images, own_labels]
            not_below = (~(log_probabilities < own[:, None])).sum(axis=1)  # itself, ties, and NaN, which is never right
            predicted = log_probabilities.argmax(axis=1)
            best = np.exp(log_probabilities[images, predicted])
            calibrated = best if temperature == 1 else probability_at(temperature, log_probabilities, predicted)
            parts.append((-own, not_below, predicted, best, calibrated))
            totals = totals + losses_at(log_probabilities, own_labels).sum(axis=1)
            first += len(images)
        losses, ranks, predicted, best, calibrated = (np.concatenate(values) for values in zip(*parts, strict=True))
        return cls(
            classes,
            labels,
            losses.astype(np.float32),
            ranks.astype(np.int32),
            predicted.astype(np.int32),
            best.astype(np.float32),
            calibrated.astype(np.float32),
            totals / len(losses),
        )

    def __len__(self) -> int:
        return len(self.labels)

    def top(self, k: int) -> float:
        """Return the share of the images whose class is among the k most probable."""
        return float((self.ranks <= k).mean())

    @property
    def accuracy(self) -> float:
        """The share of the images that are classified correctly: top-1."""
        return self.top(1)

    def __repr__(self) -> str:
        return f"Evaluation({self.headline} of {len(self):,} images, {len(self.classes):,} classes)"

    def _repr_html_(self) -> str:
        from resnext.metrics.notebook import html_of_evaluation

        return html_of_evaluation(self)

    @property
    def headline(self) -> str:
        """The metric by which networks are compared, in words."""
        return f"top-1 {100 * self.top(1):.2f} %"

    @property
    def images(self) -> np.ndarray:
        """The number of images of each class, int (classes,)."""
        return np.bincount(self.labels, minlength=len(self.classes))

    @property
    def loss(self) -> float:
        """The mean cross-entropy, in nats."""
        return float(self.losses.mean())

    @property
    def right(self) -> np.ndarray:
        """Whether each image is classified correctly, bool (images,)."""
        return self.predicted == self.labels

    def answer(self, image: int) -> str:
        """Return the predicted class of an image."""
        return self.classes[self.predicted[image]]

    @property
    def temperature(self) -> float:
        """The divisor of the logits that gives the lowest loss on these images (Guo et al. 2017)."""
        return best_temperature(self.losses_by_temperature)

    @property
    def confusion(self) -> np.ndarray:
        """The number of images of class i that were classified as class j: int (classes, classes)."""
        counts = np.zeros((len(self.classes),) * 2, np.int64)
        np.add.at(counts, (self.labels, self.predicted), 1)
        return counts

    def metrics(self) -> dict[str, float]:
        """Return the metrics by name: shares from 0 to 1, and the log loss in nats.

        `macro_f1`, `macro_precision` and `macro_recall` are means over the classes that have images or predictions,
        `balanced_accuracy` is the mean recall of those that have images, `ece` the expected calibration error in 15
        bins (Guo et al. 2017). `auc`, only for two classes that both have images, is the area under the ROC curve.
        """
        counts = Counts.of(len(self.classes), self.labels, self.predicted)
        values = {"top1": self.top(1)} | ({"top5": self.top(5)} if len(self.classes) > 5 else {})
        some = counts.images + counts.predictions > 0
        values |= {
            "macro_f1": float(counts.f1[some].mean()),
            "macro_precision": float(counts.precision[some].mean()),
            "macro_recall": float(counts.recall[some].mean()),
            "balanced_accuracy": float(counts.recall[counts.images > 0].mean()),
            "log_loss": self.loss,
            "ece": calibration_error(self.probabilities, self.right),
        }
        auc = self.auc
        return values | ({} if auc is None else {"auc": auc})

    @property
    def auc(self) -> float | None:
        """The area under the ROC curve: the chance that an image of the second class scores above one of the first.

        Ties count one half. It is None for other numbers of classes than two, and if one of them has no images.
        """
        if len(self.classes) != 2 or len({*self.labels.tolist()}) < 2:
            return None
        return roc_auc(self.labels == 1, self._log_odds())

    @property
    def baseline(self) -> tuple[str, float]:
        """The class with the most images, and the top-1 accuracy of always answering it."""
        return self.classes[self.images.argmax()], float(self.images.max() / len(self))

    def _log_odds(self) -> np.ndarray:
        """Return the log-odds of the second of two classes, float64 (images,), exact also near 0 and 1."""
        losses = self.losses.astype(np.float64)
        with np.errstate(divide="ignore"):
            of_true = -losses - np.log(-np.expm1(-losses))
        return np.where(self.labels == 1, of_true, -of_true)

    def intervals(self, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, tuple[float, float]]:
        """Return the 95 % interval of each metric.

        Those of top-1 and top-5 are Wilson's, and that of the balanced accuracy combines Wilson's of each class. The
        others are percentiles of a bootstrap, for which images are drawn again with replacement: a point for a metric
        on which every image agrees, such as the macro F1 without mistakes.

        Args:
            resamples: number of draws; fewer are made for more than 100,000 images.
            seed: seed of the draws.
        """
        draws = np.random.default_rng(seed)
        resamples = max(100, min(resamples, 100_000_000 // len(self)))
        names = [*self.metrics()]
        drawn = (self._take(draws.integers(len(self), size=len(self))).metrics() for _ in range(resamples))
        values = [[metrics.get(name, np.nan) for name in names] for metrics in drawn]  # a class may have no images
        tail = 50 * (1 - CONFIDENCE)
        low, high = np.nanpercentile(values, (tail, 100 - tail), axis=0).tolist()
        bounds = dict(zip(names, zip(low, high, strict=True), strict=True))
        return bounds | {name: each for name, each in self._intervals_of_shares().items() if name in bounds}

    def _intervals_of_shares(self) -> dict[str, tuple[float, float]]:
        counts = Counts.of(len(self.classes), self.labels, self.predicted)
        total, some = len(self), counts.images > 0
        return {
            "top1": wilson(round(self.top(1) * total), total),
            "top5": wilson(round(self.top(5) * total), total),
            "balanced_accuracy": wilson_of_mean(counts.right[some], counts.images[some]),
        }

    def _take(self, images: np.ndarray) -> Evaluation:
        """Return the evaluation of some of the images."""
        names = ("labels", "losses", "ranks", "predicted", "probabilities", "calibrated")
        return dataclasses.replace(self, **{name: getattr(self, name)[images] for name in names})

    def class_metrics(self) -> list[ClassMetrics]:
        """Return the metrics of each class that has images or predictions, in the order of the classes."""
        counts, mistaken_for = Counts.of(len(self.classes), self.labels, self.predicted), self._mistaken_for()
        columns = (counts.images, counts.precision, counts.recall, counts.f1)
        images, precision, recall, f1 = (column.tolist() for column in columns)
        return [
            ClassMetrics(name, images[i], precision[i], recall[i], f1[i], mistaken_for.get(i))
            for i, name in enumerate(self.classes)
            if images[i] or counts.predictions[i]
        ]

    def confusions(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return pairs of a class and one that it was mistaken for, and their images: three arrays, int (pairs,)."""
        wrong = ~self.right
        pairs, counts = np.unique(np.stack([self.labels[wrong], self.predicted[wrong]]), axis=1, return_counts=True)
        return pairs[0], pairs[1], counts

    def _mistaken_for(self) -> dict[int, str]:
        """Return the class that each class is most often mistaken for; in a tie, the first one."""
        most: dict[int, tuple[int, str]] = {}
        for true, predicted, count in zip(*(values.tolist() for values in self.confusions()), strict=True):
            if count > most.get(true, (0, ""))[0]:
                most[true] = count, self.classes[predicted]
        return {true: name for true, (_, name) in most.items()}

    def mistakes(self) -> list[Mistake]:
        """Return the images that were misclassified, the one with the highest loss first."""
        worst_first = np.argsort(-self.losses, kind="stable")
        return [
            Mistake(int(i), self.classes[self.labels[i]], self.classes[self.predicted[i]], float(self.probabilities[i]))
            for i in worst_first[~self.right[worst_first]]
        ]


class ClassMetrics(NamedTuple):
    """The metrics of one class, and the class that it is most often mistaken for.

    A share of nothing is 0: the precision of a class that was never predicted, the recall of one without images.
    """

    name: str
    images: int
    precision: float  # share classified correctly of those predicted as this class
    recall: float  # share classified correctly of the images of this class: its accuracy
    f1: float  # harmonic mean of the two
    mistaken_for: str | None


class Mistake(NamedTuple):
    """A misclassified image: its index among the examples, its class, the predicted class and its probability."""

    number: int
    true: str
    predicted: str
    probability: float


class Counts(NamedTuple):
    """Counts of each class, (classes,): whole numbers."""

    images: np.ndarray
    predictions: np.ndarray
    right: np.ndarray

    @classmethod
    def of(cls, classes: int, labels: np.ndarray, predicted: np.ndarray) -> Counts:
        chosen = (labels, predicted, labels[labels == predicted])
        return cls(*(np.bincount(values, minlength=classes) for values in chosen))

    @property
    def precision(self) -> np.ndarray:
        return self.right / self.predictions.clip(1)

    @property
    def recall(self) -> np.ndarray:
        return self.right / self.images.clip(1)

    @property
    def f1(self) -> np.ndarray:
        return 2 * self.right / (self.images + self.predictions).clip(1)
