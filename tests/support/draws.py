"""Random images, many draws from one generator, and how far they are from a distribution."""

import math

import numpy as np

FILL = (7, 8, 9)


def noise(*shape, seed=0, low=0, high=256):
    return np.random.default_rng(seed).integers(low, high, shape, dtype=np.uint8)


class Highest:
    """A generator whose numbers are the highest of their range."""

    def uniform(self, low, high):
        return high


def drawn(function, count, seed=0):
    """`function(rng)`, `count` times from one generator."""
    rng = np.random.default_rng(seed)
    return [function(rng) for _ in range(count)]


def largest_gap(values, distribution):
    """Kolmogorov and Smirnov's: below 1.95 / sqrt(n) in all but 1 of 1,000 samples of the distribution."""
    expected = np.array([distribution(value) for value in sorted(values)])
    return np.abs(np.arange(len(values)) / len(values) - expected).max() * math.sqrt(len(values))
