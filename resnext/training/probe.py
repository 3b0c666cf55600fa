"""A linear probe: the head of a network fitted to its features by logistic regression."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable

import keras
import numpy as np

from resnext.data.balance import image_weights
from resnext.data.batches import evaluation_batches
from resnext.data.examples import Examples
from resnext.distributed import Cluster
from resnext.engines.engine import OutputName
from resnext.engines.keras_engine import KerasEngine
from resnext.images.preprocessing import Preprocessing
from resnext.metrics.probabilities import log_softmax
from resnext.model.classifier import image_classifier, with_outputs

logger = logging.getLogger(__name__)

ITERATIONS = 1_000  # of L-BFGS, at most
OUTPUTS: tuple[OutputName, ...] = ("embedding",)


def fit_head(
    network: keras.Model,
    examples: Examples,
    preprocessing: Preprocessing,
    batch_size: int,
    power: float,
    check: Callable[[], None],
    cluster: Cluster,
) -> dict[str, float]:
    """Fit the head to the features of all images by scikit-learn's logistic regression, and return loss and accuracy.

    Args:
        network: network with loaded weights, whose head receives the result.
        examples: training images; each is seen once, as it is evaluated.
        preprocessing: how the images are prepared.
        batch_size: images computed at once.
        power: of the inverse frequency of a class that weighs its images; 0: all weigh the same.
        check: called before each batch; it may raise.
        cluster: devices that compute.
    """
    features = _features(network, examples, preprocessing, batch_size, check, cluster)
    head = network.get_layer("predictions")
    weights = image_weights(examples, power)
    kernel, bias = _logistic_regression(features, examples.labels, weights, len(head.weights) > 1)
    head.set_weights([kernel, bias][: len(head.weights)])
    scores = log_softmax((features @ kernel + bias).astype(np.float32))
    right = scores.argmax(axis=1) == examples.labels
    return {"loss": float(-scores[np.arange(len(scores)), examples.labels].mean()), "accuracy": float(right.mean())}


def _features(
    network: keras.Model,
    examples: Examples,
    preprocessing: Preprocessing,
    batch_size: int,
    check: Callable[[], None],
    cluster: Cluster,
) -> np.ndarray:
    """Return the pooled features of the images, float32 (images, channels)."""
    engine = KerasEngine(image_classifier(with_outputs(network, OUTPUTS), preprocessing), OUTPUTS, cluster)
    parts = []
    for images, valid in evaluation_batches(examples, preprocessing, batch_size, cluster.devices):
        check()
        (embedding,) = engine.arrays(images)
        parts.append(embedding[:valid])
    return np.concatenate(parts)


def _logistic_regression(
    features: np.ndarray, labels: np.ndarray, weights: np.ndarray | None, intercept: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return kernel (channels, classes) and bias (classes,) whose softmax gives the probabilities of scikit-learn."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=ITERATIONS, fit_intercept=intercept)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(features, labels, weights)
    if any(issubclass(each.category, ConvergenceWarning) for each in caught):
        logger.warning(f"the logistic regression had not converged after {ITERATIONS:,} iterations")
    kernel, bias = model.coef_.T, np.broadcast_to(model.intercept_, len(model.coef_))
    if len(model.coef_) > 1:
        return kernel, bias
    return np.concatenate([-kernel, kernel], axis=1) / 2, np.concatenate([-bias, bias]) / 2  # the log-odds of two
