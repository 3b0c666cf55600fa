"""The best number of images for a network to compute at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from resnext.engines.engine import Outputs

GAIN = 0.05  # least share of the time per image that doubling the images at once must save
REPEATS = 2
Network = Callable[[np.ndarray], Outputs]  # uint8 (images, size, size, channels)


class Pace(NamedTuple):
    """The best number of images for a network to compute at once, and the seconds per image then."""

    batch_size: int
    seconds: float


def measure_pace(network: Network, image: tuple[int, int, int], most: int) -> Pace:
    """Double the images computed at once, up to `most`, as long as that reduces the time per image.

    If it does not, computing waiting images together would only make the first wait for the last. This also compiles
    all numbers of images that are served later.
    """
    best, count = Pace(0, float("inf")), 1
    while count > best.batch_size:
        seconds = _seconds(network, np.zeros((count, *image), np.uint8)) / count
        if seconds > (1 - GAIN) * best.seconds:
            break
        best, count = Pace(count, seconds), min(2 * count, most)
    return best


def _seconds(network: Network, images: np.ndarray) -> float:
    """Return the seconds for some images after compilation."""
    network(images)
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        network(images)
        seconds.append(time.perf_counter() - started)
    return min(seconds)
