"""Random colour changes: the jitter of the paper's code, AlexNet's lighting, other hues, and grey."""

from __future__ import annotations

import numpy as np
from PIL import Image

GREY = np.array([0.299, 0.587, 0.114])  # weights of red, green and blue, ITU-R BT.601

# Principal components of the colours (0..1) of ImageNet's training images, one per column. Source: `imagenet.lua` in
# https://github.com/facebookresearch/ResNeXt/blob/master/datasets/
EIGENVALUES = np.array([0.2175, 0.0188, 0.0045])
EIGENVECTORS = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])


def color_jitter(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Change brightness, contrast and saturation at random, as the ResNeXt paper's code does.

    Each change blends the image with another one, `alpha * image + (1 - alpha) * other`, where alpha is uniform from
    1 - strength to 1 + strength. The other image is black for brightness, the mean grey for contrast, and the greyscale
    image for saturation. The result is rounded and clipped to 0..255 once, at the end; the Torch code never clips, and
    torchvision clips three times. Source: `ColorJitter` in
    https://github.com/facebookresearch/ResNeXt/blob/master/datasets/transforms.lua

    Args:
        image: uint8 (H, W, 3).
        strength: strength of the changes, from 0 to 1; the Torch code uses 0.4.
        rng: generator that draws the three alphas.

    >>> color_jitter(np.full((1, 1, 3), 100, np.uint8), 0.4, np.random.default_rng(0)).tolist()
    [[[111, 111, 111]]]
    """
    brightness, contrast, saturation = 1 + rng.uniform(-strength, strength, 3)
    picture = Image.fromarray(image)
    levels = np.reshape(picture.histogram(), (3, 256))
    mean_grey = GREY @ levels @ np.arange(256) / levels[0].sum()
    # The Torch code also draws an order, which makes no difference without clipping in between: saturation preserves
    # every grey, and contrast preserves the mean grey. So one matrix, the product of the three changes, maps
    # (red, green, blue, 1).
    colours = contrast * (saturation * np.eye(3) + (1 - saturation) * GREY)
    offset = np.full((3, 1), (1 - contrast) * mean_grey)
    both = brightness * np.hstack([colours, offset])
    return np.asarray(picture.convert("RGB", tuple(both.ravel())))


def lighting(image: np.ndarray, std: float, rng: np.random.Generator) -> np.ndarray:
    """Add one random colour along the principal components of ImageNet's colours (Krizhevsky et al. 2012, section 4.1).

    This is `Lighting` in https://github.com/facebookresearch/ResNeXt/blob/master/datasets/transforms.lua, with the
    result rounded and clipped.

    Args:
        image: uint8 (H, W, 3).
        std: standard deviation of the three weights; the Torch code uses 0.1.
        rng: generator that draws the weights.

    >>> lighting(np.full((1, 1, 3), 100, np.uint8), 0.1, np.random.default_rng(3)).tolist()
    [[[93, 93, 94]]]
    """
    colour = 255 * EIGENVECTORS @ (EIGENVALUES * rng.normal(0, std, 3))
    levels = (np.arange(256) + colour[:, None]).round().clip(0, 255)
    return np.asarray(Image.fromarray(image).point(levels.astype(int).ravel().tolist()))


def shift_hue(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Turn the circle of hues by a random angle, as torchvision's `ColorJitter(hue=strength)` does.

    The shift is uniform from -strength to strength, in turns of the circle. Saturation, value and grey pixels remain.
    Pillow's hues are whole numbers from 0 to 255, where 0 and 255 are the same red, so the shift is rounded to 1/255.
    (torchvision rounds it towards 0, and counts 256 hues when it wraps around.) Source: `adjust_hue` in
    https://github.com/pytorch/vision/blob/main/torchvision/transforms/_functional_pil.py

    Args:
        image: uint8 (H, W, 3).
        strength: largest shift to either side, from 0 to 0.5, where 0.5 allows every hue.
        rng: generator that draws the shift.

    >>> shift_hue(np.full((1, 1, 3), (200, 0, 0), np.uint8), 0.5, np.random.default_rng(0)).tolist()
    [[[200, 165, 0]]]
    """
    shift = round(255 * rng.uniform(-strength, strength))
    hue, saturation, value = Image.fromarray(image).convert("HSV").split()
    turned = hue.point([(level + shift) % 255 for level in range(256)])
    return np.asarray(Image.merge("HSV", (turned, saturation, value)).convert("RGB"))


def random_greyscale(image: np.ndarray, probability: float, rng: np.random.Generator) -> np.ndarray:
    """Turn the image grey at random: all three channels become the luma of ITU-R BT.601, Pillow's mode "L".

    This is torchvision's `RandomGrayscale`.

    Args:
        image: uint8 (H, W, 3).
        probability: probability of turning the image grey, from 0 to 1.
        rng: generator that draws whether the image is changed.

    >>> random_greyscale(np.full((1, 1, 3), (200, 0, 0), np.uint8), 1, np.random.default_rng(0)).tolist()
    [[[60, 60, 60]]]
    """
    if rng.random() >= probability:
        return image
    return np.asarray(Image.fromarray(image).convert("L").convert("RGB"))
