"""The reliability of probabilities: expected calibration error, and temperature scaling (Guo et al. 2017).

The paper: https://arxiv.org/abs/1706.04599. A temperature divides the logits: it changes no prediction, only the
confidence.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

BINS = 15  # of equal width, as in the paper
STEPS = 4  # from a temperature to its double
TEMPERATURES = 2.0 ** (np.arange(-3 * STEPS, 3 * STEPS + 1) / STEPS)  # 1/8 to 8


class Bin(NamedTuple):
    """The images whose predicted class has a probability in an interval."""

    images: int
    probability: float  # mean of the predicted class
    accuracy: float  # share classified correctly


def reliability(probabilities: np.ndarray, right: np.ndarray) -> list[Bin]:
    """Return the 15 bins of a reliability diagram, by the probability of the predicted class.

    Args:
        probabilities: probability of the predicted class, float (images,).
        right: whether the predicted class is the true one, bool (images,).
    """
    edges = np.linspace(0, 1, BINS + 1)[1:-1]
    places = np.searchsorted(edges, np.nan_to_num(probabilities), side="left")  # an edge belongs to the bin below it
    counts = np.bincount(places, minlength=BINS)
    sums = [np.bincount(places, weights=values, minlength=BINS) for values in (probabilities, right)]
    means = [total / counts.clip(1) for total in sums]
    return [Bin(*row) for row in zip(counts.tolist(), *(mean.tolist() for mean in means), strict=True)]


def calibration_error(probabilities: np.ndarray, right: np.ndarray) -> float:
    """Return the expected calibration error: the mean distance between probability and accuracy, weighted by images.

    >>> calibration_error(np.array([0.9, 0.9]), np.array([True, False])).__round__(6)
    0.4
    """
    distances = [each.images * abs(each.probability - each.accuracy) for each in reliability(probabilities, right)]
    return float(sum(distances) / len(right))


def losses_at(log_probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the loss of each image at each of TEMPERATURES: float64 (temperatures, images).

    Args:
        log_probabilities: float32 (images, classes).
        labels: int32 (images,).
    """
    highest = log_probabilities.max(axis=1)
    own = (log_probabilities[np.arange(len(labels)), labels] - highest).astype(np.float64)
    below = log_probabilities - highest[:, None]
    losses = np.empty((len(TEMPERATURES), len(labels)))
    for last in range(len(TEMPERATURES) - 1, len(TEMPERATURES) - 1 - STEPS, -1):
        powers = np.exp(below / np.float32(TEMPERATURES[last]))
        for i in range(last, -1, -STEPS):  # at half the temperature the value is squared: ten times as fast as exp
            losses[i] = np.log(powers.sum(axis=1)) - own / TEMPERATURES[i]
            np.square(powers, out=powers)
    return losses


def probability_at(temperature: float, log_probabilities: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return the probability of the predicted class at a temperature, float64 (images,)."""
    scaled = (log_probabilities - log_probabilities[np.arange(len(predicted)), predicted][:, None]) / temperature
    return 1 / np.exp(scaled).sum(axis=1, dtype=np.float64)


def best_temperature(losses: np.ndarray) -> float:
    """Return the temperature with the lowest loss; interpolated by a polynomial through five of TEMPERATURES.

    It is 1 if the images do not determine it: if all are classified correctly, for example, the loss falls with the
    temperature.

    Args:
        losses: mean loss at each of TEMPERATURES.
    """
    lowest = int(np.argmin(losses))
    first = min(max(lowest - 2, 0), len(losses) - 5)
    five = losses[first : first + 5]
    if lowest in (0, len(losses) - 1) or not np.isfinite(five).all():
        return 1.0
    places = np.arange(first, first + 5) - lowest
    flat = np.roots(np.polyder(np.polyfit(places, five, 4)))
    moved = min((root.real for root in flat if abs(root.imag) < 1e-9), key=abs, default=0.0)
    return float(TEMPERATURES[lowest] * 2 ** (np.clip(moved, -1, 1) / STEPS))
