"""Evaluate a trained network on labelled images."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from resnext.data.batches import evaluation_batches
from resnext.data.examples import Examples
from resnext.data.reading import check_images
from resnext.data.source import DataSource, open_data
from resnext.distributed import SINGLE, Cluster
from resnext.errors import ArgumentError, DataError, printable
from resnext.images.preprocessing import Preprocessing
from resnext.runs.run import Run

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a network predicts for labelled images: a few numbers for each, however many classes there are."""

    classes: tuple[str, ...]
    labels: np.ndarray  # int32 (images,)
    losses: np.ndarray  # float32 (images,): cross-entropy in nats
    ranks: np.ndarray  # int32 (images,): place of the own class among all, 1 for the most probable; ties and NaN count
    predicted: np.ndarray  # int32 (images,): the most probable class
    probabilities: np.ndarray  # float32 (images,): of the predicted class

    @classmethod
    def of(cls, classes: tuple[str, ...], labels: np.ndarray, rows: Iterable[np.ndarray]) -> Evaluation:
        """Return the evaluation of log-probabilities.

        Args:
            classes: class names.
            labels: class of each image, int32 (images,).
            rows: log-probabilities of the next images, float32 (images, classes), part by part; none is kept.

        >>> Evaluation.of(("a", "b"), np.array([0, 0]), [np.log([[0.9, 0.1], [0.2, 0.8]])]).top(1)
        0.5
        """
        parts, first = [], 0
        for log_probabilities in rows:
            images = np.arange(len(log_probabilities))
            own = log_probabilities[images, labels[first : first + len(images)]]
            not_below = (~(log_probabilities < own[:, None])).sum(axis=1)  # itself, ties, and NaN: never right
            predicted = log_probabilities.argmax(axis=1)
            parts.append((-own, not_below, predicted, np.exp(log_probabilities[images, predicted])))
            first += len(images)
        losses, ranks, predicted, probabilities = (np.concatenate(values) for values in zip(*parts, strict=True))
        return cls(
            classes,
            labels,
            losses.astype(np.float32),
            ranks.astype(np.int32),
            predicted.astype(np.int32),
            probabilities.astype(np.float32),
        )

    def top(self, k: int) -> float:
        """Return the share of the images whose class is among the k most probable."""
        return float((self.ranks <= k).mean())

    @property
    def loss(self) -> float:
        """The mean cross-entropy, in nats."""
        return float(self.losses.mean())

    @property
    def confusion(self) -> np.ndarray:
        """The number of images of class i that were classified as class j: int (classes, classes)."""
        counts = np.zeros((len(self.classes),) * 2, np.int64)
        np.add.at(counts, (self.labels, self.predicted), 1)
        return counts

    def class_accuracy(self) -> list[ClassAccuracy]:
        """Return the accuracy of each class that has images, in the order of the classes."""
        right = np.bincount(self.labels[self.predicted == self.labels], minlength=len(self.classes))
        taken_for = self._taken_for()
        return [
            ClassAccuracy(self.classes[label], int(total), float(right[label] / total), taken_for.get(label))
            for label, total in enumerate(np.bincount(self.labels, minlength=len(self.classes)))
            if total
        ]

    def _taken_for(self) -> dict[int, str]:
        """Return the class that each class is most often mistaken for; of several, the first."""
        wrong = np.flatnonzero(self.predicted != self.labels)
        pairs, counts = np.unique(np.stack([self.labels[wrong], self.predicted[wrong]]), axis=1, return_counts=True)
        most: dict[int, tuple[int, str]] = {}
        for true, predicted, count in zip(*pairs.tolist(), counts.tolist(), strict=True):
            if count > most.get(true, (0, ""))[0]:
                most[true] = count, self.classes[predicted]
        return {true: name for true, (_, name) in most.items()}

    def mistakes(self) -> list[Mistake]:
        """Return the images that were misclassified, the one with the highest loss first."""
        worst_first = np.argsort(-self.losses, kind="stable")
        return [
            Mistake(int(i), self.classes[self.labels[i]], self.classes[self.predicted[i]], float(self.probabilities[i]))
            for i in worst_first[self.predicted[worst_first] != self.labels[worst_first]]
        ]


class ClassAccuracy(NamedTuple):
    """One class: its images, the share that is classified correctly, and the class it is most often mistaken for."""

    name: str
    images: int
    accuracy: float
    taken_for: str | None


class Mistake(NamedTuple):
    """A misclassified image: its index among the examples, its class, the predicted class and its probability."""

    number: int
    true: str
    predicted: str
    probability: float


def evaluate(
    run: str | Path, data: str | Path, *, weights: str = "best", batch_size: int = 64, follow_links: bool = False
) -> Evaluation:
    """Evaluate a run on a folder of images: its test/ or val/, or the class folders themselves.

    Classes are matched by name, so that a folder with fewer classes, or in another order, is evaluated correctly. Of
    class folders that the run was trained on, moved or not, only the images that it held out are used.

    Args:
        run: run folder.
        data: folder of images, archive or built-in data set, as `train` accepts them.
        weights: weights of the "best" or the "last" epoch.
        batch_size: images in a batch.
        follow_links: as for `train`; the run's own choice counts as well.

    Raises:
        ArgumentError, RunError, WeightsError, DataError, ImageError: as the message says.

    >>> evaluate("runs/signs", "sign-digits").top(1)  # doctest: +SKIP
    0.9912
    """
    if batch_size < 1:
        raise ArgumentError(f"`batch_size` must be at least 1. Received: {batch_size}")
    opened = Run.open(run)
    examples = _examples(open_data(data, follow_links or opened.config.options.follow_links), opened)
    check_images(examples)
    return evaluate_examples(opened.classifier(weights), examples, opened.config.preprocessing, batch_size)


def _examples(source: DataSource, run: Run) -> Examples:
    """Return the images to evaluate a run on: those that it held out of the data, or all of other data."""
    held_out, classes = run.held_out, run.config.classes
    found = source.held_out(held_out, classes) if held_out else None
    if found:
        examples, missing = found
        if not missing:
            return examples
        moved = 2 * len(missing) < len(held_out)  # other folders may have a few files of the same names
        if moved or source.name == run.config.data:
            raise DataError(
                f"{len(missing)} of the {len(held_out)} images that the training held out are gone, the first of them "
                f"{printable(missing[0])}; put them back, or pass a folder that the run was not trained on"
            )
    return source.examples(classes)


def evaluate_examples(
    classifier: keras.Model,
    examples: Examples,
    preprocessing: Preprocessing,
    batch_size: int,
    check: Callable[[], None] = lambda: None,
    cluster: Cluster = SINGLE,
) -> Evaluation:
    """Evaluate a classifier on examples, in order, on all devices.

    Args:
        classifier: model from images to logits.
        examples: labelled images.
        preprocessing: how its images are prepared.
        batch_size: images in a batch.
        check: called before each batch; it may raise.
        cluster: processes and devices to use.
    """
    share = cluster.rank, cluster.processes

    def rows() -> Iterator[np.ndarray]:
        for images, valid in evaluation_batches(examples, preprocessing, batch_size, cluster.devices, share):
            check()
            yield log_probabilities(classifier, images, cluster)[:valid]

    return Evaluation.of(examples.classes, examples.labels, rows())


def log_probabilities(classifier: keras.Model, images: np.ndarray, cluster: Cluster = SINGLE) -> np.ndarray:
    """Compute uint8 (batch, size, size, 3) -> float32 (batch, classes) from this process's rows of the batch."""
    with _no_gradients():
        logits = np.array(cluster.predict(classifier, images), np.float32)
    logits -= logits.max(axis=1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def _no_gradients() -> contextlib.AbstractContextManager:
    """Spare PyTorch the bookkeeping for gradients."""
    import keras

    if keras.backend.backend() != "torch":
        return contextlib.nullcontext()
    import torch

    return torch.inference_mode()
