"""Random blurring of images (Chen et al. 2020)."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from resnext.images.threes import by_threes

SIGMAS = (0.1, 2.0)  # lowest and highest standard deviation in pixels (SimCLR, Chen et al. 2020, appendix A)


def random_blur(image: np.ndarray, probability: float, rng: np.random.Generator) -> np.ndarray:
    """Blur the image by a Gaussian at random, as SimCLR does (Chen et al. 2020, https://arxiv.org/abs/2002.05709).

    Its standard deviation is uniform from 0.1 to 2 pixels, whatever the size of the image; SimCLR trains at 224 pixels.
    Pillow's `GaussianBlur` approximates the Gaussian by three boxes.

    Args:
        image: uint8 (H, W, channels).
        probability: probability of blurring, from 0 to 1; SimCLR uses 0.5.
        rng: generator of all random choices.

    >>> image = np.zeros((3, 3, 3), np.uint8)
    >>> image[1, 1] = 255
    >>> int(random_blur(image, 1, np.random.default_rng(0))[1, 1, 0])
    121
    """
    if rng.random() >= probability:
        return image
    blur = ImageFilter.GaussianBlur(rng.uniform(*SIGMAS))
    return by_threes(image, lambda three, _: np.asarray(Image.fromarray(three).filter(blur)))
