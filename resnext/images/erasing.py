"""Random erasing (Zhong et al. 2017)."""

from __future__ import annotations

import numpy as np

from resnext.images.crops import Colour, log_uniform, random_box


def random_erase(image: np.ndarray, probability: float, fill: Colour, rng: np.random.Generator) -> np.ndarray:
    """Fill a random rectangle with the colour `fill`; Zhong et al. 2017, https://arxiv.org/abs/1708.04896.

    Of 2 to 33% of the area, its height 0.3 to 3.3 of its width, uniform in the logarithm, as torchvision's
    `RandomErasing`; no rectangle if ten attempts don't fit.

    Args:
        image: uint8 (H, W, 3).
        probability: that it happens, from 0 to 1.
        fill: three numbers from 0 to 255; the mean colour is 0 after normalising, torchvision's default.
        rng: draws everything.

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
