"""How many images a network is best given at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from resnext.engines.engine import Outputs

GAIN = 0.05  # of the time for an image, at least, that twice as many images at once must save
REPEATS = 2
Network = Callable[[np.ndarray], Outputs]  # uint8 (images, size, size, 3)


class Pace(NamedTuple):
    """How many images a network is best given at once, and the seconds that an image takes then."""

    batch_size: int
    seconds: float


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
