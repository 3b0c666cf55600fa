"""What a trained network sees in images."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from resnext.data.archive_members import Member
from resnext.data.batches import reading_threads
from resnext.data.inputs import Input, check_inputs, find_inputs, read_ahead
from resnext.engines.engine import EngineName, OutputName
from resnext.errors import ArgumentError, ImageError, printable
from resnext.inference.model import MANY, Model
from resnext.metrics.probabilities import most_probable

BATCH_SIZE = 16  # larger batches than 8 are no faster (docs/performance.md)
UNKNOWN = "unknown"

T = TypeVar("T")


class Prediction(NamedTuple):
    """An image and its most probable classes, most probable first; or why it can't be read."""

    image: str
    classes: list[tuple[str, float]]  # name and probability
    error: str | None = None
    is_known: bool = True  # whether the most probable class reaches the threshold
    embedding: np.ndarray | None = None  # float32 (channels,)

    @property
    def answer(self) -> str | None:
        """The most probable class, "unknown" below the threshold, or None for an image that can't be read."""
        if self.error is not None:
            return None
        return self.classes[0][0] if self.is_known else UNKNOWN


@dataclass(frozen=True)
class PredictionOptions:
    """How images are classified.

    Args:
        top: number of classes to return.
        threshold: probability below which the answer is "unknown".
        calibrated: whether probabilities are calibrated by the temperature that is kept with the run.
        embeddings: whether to return the pooled features of each image, too.
        follow_links: whether links may lead out of a folder of images.
        engine: what computes the network, as in `EvaluationOptions`; embeddings are computed by Keras.

    Raises:
        ArgumentError: a value that is not allowed.
    """

    top: int = 5
    threshold: float | None = None
    calibrated: bool = False
    embeddings: bool = False
    follow_links: bool = False
    engine: EngineName | None = None

    def __post_init__(self) -> None:
        if self.top < 1:
            raise ArgumentError(f"`top` must be at least 1. Received: {self.top}")
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise ArgumentError(f"`threshold` must be above 0 and at most 1. Received: {self.threshold}")

    def temperature(self, model: Model) -> float:
        """Return the number to divide the logits by. Raises ArgumentError for a model that is no run."""
        if not self.calibrated:
            return 1.0
        if model.run is None:
            raise ArgumentError(
                f"{model.name}: has no temperature to calibrate by; only runs have one. Leave --calibrated out."
            )
        return model.temperature


def predict(
    model: str | Path | Model,
    images: str | Path | Iterable[str | Path],
    *,
    weights: str | None = None,
    options: PredictionOptions = PredictionOptions(),
    left_out: Counter[str] | None = None,
) -> Iterator[Prediction]:
    """Classify images, in order; the next ones are read while the network computes.

    An image that can't be read is a prediction with its error. At any number of images the memory stays the same.

    Args:
        model: run folder, tag of published weights, `hf:OWNER/NAME`, file of weights, or name of a network.
        images: image files, folders, patterns such as "photos/*.jpg", tar and zip archives, or "-" for a list of paths
            on standard input.
        weights: as in `Model.open`: of a run "best" or "last"; of a network by its name the weights themselves.
        options: number of classes, threshold, calibration, embeddings.
        left_out: counter of the files in folders and archives that are no images, by suffix.

    Raises:
        ArgumentError, RunError, WeightsError: before the first image.

    >>> next(predict("runs/signs", ["hand.jpg"])).classes[0]  # doctest: +SKIP
    ('7', 0.98)
    """
    return open_predictions(model, images, weights, options, left_out)[1]


def open_predictions(
    model: str | Path | Model,
    images: str | Path | Iterable[str | Path],
    weights: str | None,
    options: PredictionOptions,
    left_out: Counter[str] | None,
) -> tuple[Model, Iterator[Prediction]]:
    """Do what `predict` does, and return the model with its engine as well."""
    arguments = [images] if isinstance(images, str | Path) else list(images)
    opened = Model.open(model, weights)
    check_inputs(arguments)
    stream = getattr(sys.stdin, "buffer", None)
    inputs = find_inputs(arguments, Counter() if left_out is None else left_out, stream, options.follow_links)
    first = list(islice(inputs, 0 if options.engine else MANY))  # their number chooses the engine
    if options.embeddings and options.engine not in (None, "keras"):
        raise ArgumentError(f"embeddings are computed by Keras, not by {options.engine}. Leave --engine out.")
    opened = opened.with_engine(options.engine, 0 if options.embeddings else len(first))
    classifier = Classifier(opened, options)
    threads = reading_threads()
    read = partial(read_input, opened.preprocessing.load)
    images_read = read_ahead(chain(first, inputs), read, threads, ahead=BATCH_SIZE * 2 + threads)
    return opened, classifier.predict((image.name, pixels) for image, pixels in images_read)


def read_input(read: Callable[[Path | Member], T], image: Input) -> T | str:
    """Return what a function reads from an image, or why it can't be read."""
    if image.source is None:
        return image.error or "can't be read"
    return or_reason(partial(read, image.source), str(image.source))


def or_reason(read: Callable[[], T], name: str) -> T | str:
    """Return what a function reads, or why the image of this name can't be read, without the name."""
    try:
        return read()
    except ImageError as error:
        _, found, reason = str(error).partition(f"{printable(name)}: ")
        return reason if found else str(error)


@dataclass
class Classifier:
    """A network that classifies batches of images that have been read.

    Args:
        model: opened model, which is built.
        options: as in `predict`.
    """

    model: Model
    options: PredictionOptions

    def __post_init__(self) -> None:
        self.temperature = self.options.temperature(self.model)
        outputs: Sequence[OutputName] = ("logits", "embedding") if self.options.embeddings else ("logits",)
        (self.engine,) = self.model.engines(outputs=outputs)

    def predict(self, images: Iterable[tuple[str, np.ndarray | str]]) -> Iterator[Prediction]:
        """Yield the prediction for each image, in order.

        Args:
            images: name of each image, and its pixels, uint8 (size, size, 3), or why it can't be read.
        """
        images = iter(images)
        while part := list(islice(images, BATCH_SIZE)):
            pixels = [image for _, image in part if not isinstance(image, str)]
            rows = iter(self._rows(np.stack(pixels)) if pixels else ())
            for name, image in part:
                yield Prediction(name, [], image) if isinstance(image, str) else self._prediction(name, *next(rows))

    def _rows(self, images: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        outputs = self.engine.outputs(images)
        embeddings = [None] * len(images) if outputs.embedding is None else outputs.embedding
        return zip(outputs.probabilities(self.temperature), embeddings, strict=True)

    def _prediction(self, name: str, probabilities: np.ndarray, embedding: np.ndarray | None) -> Prediction:
        best = most_probable(probabilities, self.options.top)
        classes = [(self.model.classes[i], float(probabilities[i])) for i in best]
        is_known = self.options.threshold is None or classes[0][1] >= self.options.threshold
        return Prediction(name, classes, None, is_known, embedding)
