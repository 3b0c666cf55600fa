"""What a trained network sees in an image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple


class Prediction(NamedTuple):
    """An image and its most probable classes, the first of them first."""

    image: Path
    classes: list[tuple[str, float]]  # name and probability


def predict(
    run: str | Path, images: Iterable[str | Path], *, top: int = 5, weights: str = "best"
) -> Iterator[Prediction]:
    """Classify image files with the network of a run, one after the other, in order.

    Args:
        run: a run folder.
        images: paths.
        top: how many classes to name.
        weights: "best" or "last".

    Raises:
        ValueError, RunError, WeightsError: before the first image. ImageError: at an image that can't be read.

    >>> next(predict("runs/signs", ["hand.jpg"])).classes[0]  # doctest: +SKIP
    ('7', 0.98)
    """
    import numpy as np

    from resnext.evaluate import log_probabilities
    from resnext.run import load_classifier

    if top < 1:
        raise ValueError(f"`top` must be at least 1. Received: {top}")
    classifier, config = load_classifier(run, weights)
    for path in map(Path, images):
        image = config.preprocessing.load(path)
        probabilities = np.exp(log_probabilities(classifier, image[None])[0])
        best = np.argsort(-probabilities, kind="stable")[:top]
        yield Prediction(path, [(config.classes[i], float(probabilities[i])) for i in best])
