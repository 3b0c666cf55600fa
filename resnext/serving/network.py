"""A network as it is served: the fastest engine that is installed, with its activation maps."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from resnext.inference.engines import Engine
from resnext.inference.evaluate import log_softmax, outputs_of
from resnext.inference.model import Model

GAIN = 0.05  # of the time for an image, at least, that twice as many images at once must save
REPEATS = 2


class Answers(NamedTuple):
    """What a network says of some images: probabilities float32 (images, classes), and its maps.

    `map_of(image, label)` is the activation map of a class, float32 (rows, columns), in logits; None where an exported
    file has none.
    """

    probabilities: np.ndarray
    map_of: Callable[[int, int], np.ndarray] | None


class Pace(NamedTuple):
    """How many images a network is best given at once, and the seconds that an image takes then."""

    batch_size: int
    seconds: float


Network = Callable[[np.ndarray], Answers]  # uint8 (images, size, size, 3)


def open_network(model: Model) -> Network:
    """Build a network in the engine that the model names; only one thread at a time may call it.

    Raises:
        RunError, WeightsError: the weights cannot be used.
    """
    if model.engine:
        return _of_engine(model.engine)
    if model.engine_name == "keras":
        return _of_keras(model)
    return _of_engine(model.converted(model.preprocessing, maps=True))


def measure_pace(network: Network, size: int, most: int) -> Pace:
    """Compute more and more images at once, as long as each takes less time for it, and `most` at most.

    Where it takes as long, computing together what waits would only let the first wait for the last. All numbers that
    are served later are compiled by this.
    """
    best, count = Pace(0, float("inf")), 1
    while count > best.batch_size:
        seconds = _seconds(network, np.zeros((count, size, size, 3), np.uint8)) / count
        if seconds > (1 - GAIN) * best.seconds:
            break
        best, count = Pace(count, seconds), min(2 * count, most)
    return best


def _seconds(network: Network, images: np.ndarray) -> float:
    """Return the seconds for some images, compiled before."""
    network(images)
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        network(images)
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def _of_engine(engine: Engine) -> Network:
    def answer(images: np.ndarray) -> Answers:
        outputs = engine.outputs(images)
        maps = outputs.get("maps")
        return Answers(outputs["probabilities"], None if maps is None else lambda image, label: maps[image, label])

    return answer


def _of_keras(model: Model) -> Network:
    from resnext.model.classifier import head_weights

    (network,) = model.build(outputs=("logits", "map"))
    kernel, _ = head_weights(network)

    def answer(images: np.ndarray) -> Answers:
        logits, features = (each[: len(images)] for each in outputs_of(network, _filled(images)))
        return Answers(np.exp(log_softmax(logits)), lambda image, label: features[image] @ kernel[:, label])

    return answer


def _filled(images: Any) -> np.ndarray:
    """Repeat the last image up to the next power of two, so that few numbers of images are compiled."""
    count = 1 << (len(images) - 1).bit_length()
    return np.concatenate([images, np.repeat(images[-1:], count - len(images), axis=0)])
