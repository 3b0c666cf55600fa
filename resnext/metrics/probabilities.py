"""Conversion of logits to probabilities and to the most probable classes."""

from __future__ import annotations

import numpy as np


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return log-probabilities, float32 (images, classes).

    >>> log_softmax(np.zeros((1, 4), np.float32)).tolist()[0][0].__round__(4)
    -1.3863
    """
    logits = logits - logits.max(axis=-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities, float32 (images, classes).

    >>> softmax(np.zeros((1, 4), np.float32)).tolist()
    [[0.25, 0.25, 0.25, 0.25]]
    """
    return np.exp(log_softmax(logits))


def most_probable(probabilities: np.ndarray, count: int) -> np.ndarray:
    """Return the indices of the most probable classes, (..., count), the most probable first, and ties in order.

    >>> most_probable(np.array([0.2, 0.5, 0.2, 0.1]), 3).tolist()
    [1, 0, 2]
    """
    return np.argsort(-probabilities, axis=-1, kind="stable")[..., :count]


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Return the probability of each class by itself, in the dtype of the logits, without overflow.

    >>> sigmoid(np.array([0.0, -1000.0])).tolist()
    [0.5, 0.0]
    """
    return np.exp(-np.logaddexp(0, -logits))


def logits_of(probabilities: np.ndarray, several: bool) -> np.ndarray:
    """Return logits that give probabilities, float32: of a sigmoid for each class if `several`, else of a softmax."""
    tiny = np.finfo(np.float32).tiny  # smaller ones underflow to 0
    logarithms = np.log(np.maximum(probabilities, tiny))
    if not several:
        return logarithms
    return logarithms - np.log(np.maximum(1 - probabilities, np.finfo(np.float32).eps / 2))
