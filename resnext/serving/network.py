"""A network as it is served: the fastest engine that is installed, with its activation maps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from resnext.inference.engines import Engine
from resnext.inference.evaluate import log_softmax, outputs_of
from resnext.inference.model import Model


class Answers(NamedTuple):
    """What a network says of some images: probabilities float32 (images, classes), and its maps.

    `map_of(image, label)` is the activation map of a class, float32 (rows, columns), in logits; None where an exported
    file has none.
    """

    probabilities: np.ndarray
    map_of: Callable[[int, int], np.ndarray] | None


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
