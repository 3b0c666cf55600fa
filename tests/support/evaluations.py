"""Evaluations of random predictions."""

import numpy as np

from resnext.metrics.evaluation import Evaluation


def some_evaluation(images=500, classes=7, seed=0, temperature=1.0, sharpness=1.0):
    """An evaluation of random logits that know something of the labels, and its probabilities."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes - 1, images).astype(np.int32)  # the last class has no images
    logits = rng.normal(size=(images, classes)) + 1.5 * np.eye(classes)[labels]
    probabilities = np.exp(sharpness * logits)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    rows = np.log(probabilities).astype(np.float32)
    names = tuple(f"class {i}" for i in range(classes))
    return Evaluation.of(names, labels, np.array_split(rows, 3), temperature), probabilities


def evaluation(classes, images=40, seed=0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(images, classes))
    log_probabilities = (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)
    names = tuple(f"class {i}" for i in range(classes))
    return Evaluation.of(names, rng.integers(0, classes, images).astype(np.int32), np.array_split(log_probabilities, 3))
