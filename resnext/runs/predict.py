"""What a trained network sees in an image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from resnext.data.batches import prediction_batches
from resnext.errors import ArgumentError, ImageError
from resnext.files import user_path
from resnext.runs.evaluate import log_probabilities
from resnext.runs.run import Run

BATCH_SIZE = 16  # larger batches than 8 are no faster (docs/performance.md)


class Prediction(NamedTuple):
    """An image and its most probable classes, most probable first."""

    image: Path
    classes: list[tuple[str, float]]  # name and probability


def predict(
    run: str | Path, images: Iterable[str | Path], *, top: int = 5, weights: str = "best"
) -> Iterator[Prediction]:
    """Classify image files with the network of a run, in order; the next ones are read while it computes.

    Args:
        run: run folder.
        images: paths of image files.
        top: number of classes to return.
        weights: weights of the "best" or the "last" epoch.

    Raises:
        ArgumentError, RunError, WeightsError: before the first image.
        ImageError: before the first image if one is no file; else at an image that cannot be read.

    >>> next(predict("runs/signs", ["hand.jpg"])).classes[0]  # doctest: +SKIP
    ('7', 0.98)
    """
    if top < 1:
        raise ArgumentError(f"`top` must be at least 1. Received: {top}")
    opened, paths = Run.open(run), [user_path(image) for image in images]
    for path in paths:
        if not path.is_file():  # before Keras is imported, which takes seconds
            raise ImageError(f"{path}: {'is not a file' if path.exists() else 'does not exist'}. Pass image files.")
    classifier, config = opened.classifier(weights), opened.config
    names = iter(paths)
    batch_size = min(BATCH_SIZE, max(1, len(paths)))
    for batch, valid, error in prediction_batches(paths, config.preprocessing, batch_size):
        for row in log_probabilities(classifier, batch)[:valid] if valid else ():
            best = np.argsort(-row, kind="stable")[:top]
            yield Prediction(next(names), [(config.classes[i], float(np.exp(row[i]))) for i in best])
        if error:
            raise error
