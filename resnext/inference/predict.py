"""Classify images with a trained network."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, Unpack

import numpy as np

from resnext.data.batches import reading_threads
from resnext.data.folders import Member
from resnext.data.prediction_inputs import Input, Inputs, arguments_of, check_inputs, read_ahead
from resnext.engines.engine import OutputName
from resnext.errors import ArgumentError, ImageError, printable
from resnext.images.pixels import as_pixels
from resnext.images.preprocessing import Preprocessing
from resnext.inference.answers import Answers
from resnext.inference.keywords import PredictionKeywords
from resnext.inference.model import MANY, Model
from resnext.inference.options import PredictionOptions
from resnext.keywords import with_keywords
from resnext.metrics.labels import joined
from resnext.metrics.probabilities import logits_of, most_probable, sigmoid

BATCH_SIZE = 16  # batches larger than 8 are not faster (docs/performance.md)
UNKNOWN = "unknown"

T = TypeVar("T")


class Prediction(NamedTuple):
    """An image and its most probable classes, most probable first; or the reason why it can't be read."""

    image: str
    classes: list[tuple[str, float]]  # name and probability
    error: str | None = None
    is_known: bool = True  # whether the most probable class reaches the threshold
    embedding: np.ndarray | None = None  # float32 (channels,)
    source: Path | Member | None = None  # where it was read
    labels: tuple[str, ...] | None = None  # of a model that gives an image any number of classes

    def __repr__(self) -> str:
        words = self.error or self.answer
        if self.error is None and self.labels is None:
            name, share = self.classes[0]
            words = f"{'' if self.is_known else 'unknown, '}{name} {100 * share:.2f} %"
        return f"Prediction({self.image}: {words})"

    @property
    def answer(self) -> str | None:
        """The most probable class, "unknown" below the threshold, or None for an image that can't be read.

        Several labels are joined, "cat; dog", and "none" without one.
        """
        if self.error is not None:
            return None
        if self.labels is not None:
            return joined(self.labels)
        return self.classes[0][0] if self.is_known else UNKNOWN


def predict(
    model: str | Path | Model,
    images: Any,
    *,
    weights: str | None = None,
    options: PredictionOptions | None = None,
    **keywords: Unpack[PredictionKeywords],
) -> Answers[Prediction]:
    """Classify images in order; the next ones are read while the network computes.

    An image that can't be read yields a prediction with its error. Memory does not grow with the number of images.

    Args:
        model: run folder, tag of published weights, `hf:OWNER/NAME`, file of weights, or name of a network.
        images: image files, folders, patterns such as "photos/*.jpg", tar and zip archives, or "-" for a list of paths
            on standard input; and Pillow images and arrays, uint8 (height, width, channels), one or several.
        weights: as in `Model.open`: "best" or "last" for a run; the weights themselves for the name of a network.
        options: complete `PredictionOptions`.
        keywords: any of their fields by name, such as `top=3`.

    Returns:
        An iterator over the predictions, which also has the engine and the files that were left out.

    Raises:
        ArgumentError, RunError, WeightsError: before the first image.

    >>> next(predict("runs/signs", ["hand.jpg"], top=1)).classes  # doctest: +SKIP
    [('7', 0.98)]
    """
    (chosen,) = with_keywords("predict", keywords, options or PredictionOptions())
    arguments = arguments_of(images)
    opened = Model.open(model, weights)
    check_inputs(arguments)
    inputs = Inputs(arguments, getattr(sys.stdin, "buffer", None), chosen.follow_links)
    first = list(islice(inputs, 0 if chosen.engine else MANY))  # their number chooses the engine
    if chosen.embeddings and chosen.engine not in (None, "keras"):
        raise ArgumentError(f"embeddings are computed by Keras, not by {chosen.engine}. Leave --engine out.")
    opened = opened.with_engine(chosen.engine, 0 if chosen.embeddings else len(first))
    classifier = Classifier(opened, chosen)
    threads = reading_threads()
    read = partial(read_input, partial(load_or_apply, opened.preprocessing))
    images_read = read_ahead(chain(first, inputs), read, threads, ahead=BATCH_SIZE * 2 + threads)
    sources: deque[Path | Member | None] = deque()

    def named() -> Iterator[tuple[str, np.ndarray | str]]:
        for image, pixels in images_read:
            sources.append(image.source)
            yield image.name, pixels

    predictions = (each._replace(source=sources.popleft()) for each in classifier.predict(named()))
    return Answers(predictions, opened.engine_name, inputs.left_out)


def load_or_apply(preprocessing: Preprocessing, source: Any) -> np.ndarray:
    """Return an image as the network sees it, uint8 (size, size, 3): a file, or an image in memory."""
    return (
        preprocessing.load(source)
        if isinstance(source, Path | Member)
        else preprocessing.apply(as_pixels(source, preprocessing.channels))
    )


def read_input(read: Callable[[Path | Member], T], image: Input) -> T | str:
    """Return the result of reading an image, or the reason why it can't be read."""
    if image.source is None:
        return image.error or "can't be read"
    name = str(image.source) if isinstance(image.source, Path | Member) else image.name
    return or_reason(partial(read, image.source), name)


def or_reason(read: Callable[[], T], name: str) -> T | str:
    """Return the result of a reading function, or the reason why the image can't be read, without its name."""
    try:
        return read()
    except (ImageError, ArgumentError) as error:
        _, found, reason = str(error).partition(f"{printable(name)}: ")
        return reason if found else str(error)


def _temperature(model: Model) -> float:
    """Return the number by which to divide the logits. Raises ArgumentError for a model that is not a run."""
    if model.run is None:
        raise ArgumentError(
            f"{model.name}: has no temperature to calibrate by; only a single run has one. Leave --calibrated out."
        )
    return model.temperature


@dataclass
class Classifier:
    """A network that classifies batches of images that have been read.

    Args:
        model: opened model, which this builds.
        options: as in `predict`.
    """

    model: Model
    options: PredictionOptions

    def __post_init__(self) -> None:
        self.temperature = _temperature(self.model) if self.options.calibrated else 1.0
        self.thresholds = self._thresholds()
        outputs: Sequence[OutputName] = ("logits", "embedding") if self.options.embeddings else ("logits",)
        (self.engine,) = self.model.engines(outputs=outputs)

    def _thresholds(self) -> Sequence[float]:
        """Return the probability from which an image has each of several labels, at the temperature."""
        if self.options.threshold is not None:
            return [self.options.threshold] * len(self.model.classes)
        logits = logits_of(np.array(self.model.thresholds), several=True)
        return sigmoid(logits / self.temperature).tolist()

    def predict(self, images: Iterable[tuple[str, np.ndarray | str]]) -> Iterator[Prediction]:
        """Yield the prediction for each image, in order.

        Args:
            images: name of each image, and its pixels, uint8 (size, size, 3), or the reason why it can't be read.
        """
        images = iter(images)
        while part := list(islice(images, BATCH_SIZE)):
            pixels = [image for _, image in part if not isinstance(image, str)]
            rows = iter(self._rows(np.stack(pixels)) if pixels else ())
            for name, image in part:
                yield Prediction(name, [], image) if isinstance(image, str) else self._prediction(name, *next(rows))

    def _rows(self, images: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        outputs = self.engine.outputs(images).finite(self.model.name)
        embeddings = [None] * len(images) if outputs.embedding is None else outputs.embedding
        return zip(outputs.probabilities(self.temperature), embeddings, strict=True)

    def _prediction(self, name: str, probabilities: np.ndarray, embedding: np.ndarray | None) -> Prediction:
        best = most_probable(probabilities, self.options.top)
        classes = [(self.model.classes[i], float(probabilities[i])) for i in best]
        if self.model.several:
            labels = self.model.labels(probabilities, self.thresholds)
            return Prediction(name, classes, None, True, embedding, labels=labels)
        is_known = self.options.threshold is None or classes[0][1] >= self.options.threshold
        return Prediction(name, classes, None, is_known, embedding)
