"""Random changes to one training image, uint8 (H, W, 3), each drawn from the generator that it is given."""

from __future__ import annotations

import numpy as np


def pad_and_crop(image: np.ndarray, pad: int, fill: tuple[int, int, int], rng: np.random.Generator) -> np.ndarray:
    """Pad every side by `pad` pixels of the colour `fill` and cut the original size out at a random place.

    He et al. 2015 section 4.2 and appendix A of the ResNeXt paper, whose Torch code pads after normalising:
    its zeros are the mean colour here.

    Args:
        image: uint8 (H, W, 3).
        pad: pixels on each side, 0 or more.
        fill: the colour of the padding, three numbers from 0 to 255.
        rng: draws the two offsets.

    >>> image = np.full((32, 32, 3), 9, np.uint8)
    >>> pad_and_crop(image, 4, (125, 123, 114), np.random.default_rng(0)).shape
    (32, 32, 3)
    """
    down, right = rng.integers(-pad, pad, size=2, endpoint=True)
    height, width = max(0, image.shape[0] - abs(down)), max(0, image.shape[1] - abs(right))
    crop = np.empty_like(image)
    crop[:] = fill
    kept = image[max(0, down) :, max(0, right) :][:height, :width]
    crop[max(0, -down) :, max(0, -right) :][:height, :width] = kept
    return crop


def flip(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mirror the image (H, W, 3) left to right with probability one half; the result may be a view of it."""
    return image[:, ::-1] if rng.random() < 0.5 else image
