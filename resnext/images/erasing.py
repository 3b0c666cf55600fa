"""Random erasing of rectangles (Zhong et al. 2017)."""

from __future__ import annotations

import numpy as np

from resnext.images.crops import Colour, log_uniform, random_box


def random_erase(image: np.ndarray, probability: float, fill: Colour, rng: np.random.Generator) -> np.ndarray:
    """Fill a random rectangle with the colour `fill` (Zhong et al. 2017, https://arxiv.org/abs/1708.04896).

    As in torchvision's `RandomErasing`, the rectangle covers 2 to 33% of the area, and the logarithm of its height
    divided by its width is uniform between those of 0.3 and 3.3. The image is unchanged if ten attempts do not fit.

    Args:
        image: uint8 (H, W, channels).
        probability: probability of erasing, from 0 to 1.
        fill: colour of the rectangle, a number from 0 to 255 for each channel; the mean colour becomes 0 after
            normalising, which is torchvision's default.
        rng: generator of all random choices.

    >>> erased = random_erase(np.zeros((32, 32, 3), np.uint8), 1, (1, 1, 1), np.random.default_rng(0))
    >>> int(erased[..., 0].sum())
    108
    """
    if rng.random() >= probability:
        return image
    height, width, _ = image.shape
    box = random_box(width, height, (0.02, 0.33), lambda: 1 / log_uniform(0.3, 3.3, rng), rng)
    if box is None:
        return image
    left, upper, right, lower = box
    erased = image.copy()
    erased[upper:lower, left:right] = fill
    return erased
