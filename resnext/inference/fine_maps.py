"""Activation maps with more positions: the network sees the image again, moved by parts of a position."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from resnext.engines.engine import Outputs

LEAST = 7  # positions along a side, as at 224 pixels


def times_finer(rows: int, side: int) -> int:
    """Return how many times finer a map of so many rows becomes; 1 if it has LEAST or more.

    The distance between two positions, in pixels, is divided by it without a remainder.

    >>> times_finer(2, 64), times_finer(4, 128), times_finer(7, 224)
    (4, 2, 1)
    """
    times, distance = 1, side // rows
    while rows * times < LEAST and distance % (2 * times) == 0:
        times *= 2
    return times


def fine_maps(
    network: Callable[[np.ndarray], Outputs],
    pixels: np.ndarray,
    labels: list[int],
    times: int,
    step: int,
    fill: tuple[int, ...],
) -> list[np.ndarray]:
    """Return the map of a class for each image, `times` finer along both sides, float32 (rows, columns), in logits.

    The image is moved by every multiple of the distance between two positions divided by `times`, and the maps of the
    moved images are put between each other. Nothing is interpolated: each value is what the network has at a position
    of a moved image, and the mean of the map, with the bias, is the mean of the logits of all moved images.

    Args:
        network: function from images to outputs with maps.
        pixels: uint8 (images, size, size, channels).
        labels: class of each image.
        times: power of two, from `times_finer`.
        step: pixels between two positions of the finer map.
        fill: colour of what moves in at the edges.
    """
    found: list[np.ndarray] = []
    for down, right in np.ndindex(times, times):
        y, x = (round((place - (times - 1) / 2) * step) for place in (down, right))
        outputs = network(_moved(pixels, y, x, fill))
        for number, label in enumerate(labels):
            values = outputs.activation_map(number, label)
            if len(found) == number:
                rows, columns = values.shape
                found.append(np.empty((rows * times, columns * times), np.float32))
            found[number][down::times, right::times] = values
    return found


def _moved(pixels: np.ndarray, down: int, right: int, fill: tuple[int, ...]) -> np.ndarray:
    """Return images that begin `down` and `right` pixels later than the given ones; the edge is filled."""
    moved = np.empty_like(pixels)
    moved[:] = np.array(fill, np.uint8)
    size = pixels.shape[1]
    to = [slice(max(0, -offset), min(size, size - offset)) for offset in (down, right)]
    source = [slice(max(0, offset), min(size, size + offset)) for offset in (down, right)]
    moved[:, to[0], to[1]] = pixels[:, source[0], source[1]]
    return moved
