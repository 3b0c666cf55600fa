"""Random crops, mirror images and rotations of uint8 (H, W, channels), drawn with the generator that is passed."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from PIL import Image

from resnext.images.threes import by_threes

Colour = tuple[int, ...]  # a number from 0 to 255 for each channel
Box = tuple[int, int, int, int]  # left, upper, right, lower: Pillow's order, in pixels

ASPECTS = (3 / 4, 4 / 3)  # width divided by height of a random crop (Szegedy et al. 2014)


def pad_and_crop(image: np.ndarray, pad: int, fill: Colour, rng: np.random.Generator) -> np.ndarray:
    """Pad every side by `pad` pixels of the colour `fill` and crop to the original size at a random position.

    Sources: He et al. 2015, section 4.2, and appendix A of the ResNeXt paper. The paper's Torch code pads after
    normalising, so its zeros correspond to the mean colour here.

    Args:
        image: uint8 (H, W, channels).
        pad: pixels on each side, 0 or more.
        fill: colour of the padding, a number from 0 to 255 for each channel.
        rng: generator that draws the two offsets.

    >>> image = np.full((32, 32, 3), 9, np.uint8)
    >>> pad_and_crop(image, 4, (125, 123, 114), np.random.default_rng(0)).shape
    (32, 32, 3)
    """
    down, right = rng.integers(-pad, pad, size=2, endpoint=True)
    height, width = max(0, image.shape[0] - abs(down)), max(0, image.shape[1] - abs(right))
    crop = np.empty_like(image)
    crop[:] = np.array(fill, np.uint8)  # a tuple would first become an array of 8-byte integers
    kept = image[max(0, down) :, max(0, right) :][:height, :width]
    crop[max(0, -down) :, max(0, -right) :][:height, :width] = kept
    return crop


def flip(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mirror the image (H, W, channels) left to right with probability 1/2; the result may be a view of the image."""
    return image[:, ::-1] if rng.random() < 0.5 else image


def vertical_flip(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mirror the image (H, W, channels) top to bottom with probability 1/2; the result may be a view of the image."""
    return image[::-1] if rng.random() < 0.5 else image


def rotate(image: np.ndarray, degrees: float, fill: Colour, rng: np.random.Generator) -> np.ndarray:
    """Rotate the image about its centre by a random angle, with bilinear interpolation.

    As in torchvision's `RandomRotation`, the angle is uniform from -degrees to degrees, and the size remains: corners
    leave the image, and empty ones are filled.

    Args:
        image: uint8 (H, W, channels).
        degrees: largest angle to either side, from 0 to 180.
        fill: colour of the area that the image no longer covers, a number from 0 to 255 for each channel.
        rng: generator that draws the angle.

    >>> image = np.full((32, 32, 3), 9, np.uint8)
    >>> rotate(image, 180, (124, 116, 104), np.random.default_rng(0))[0, 0].tolist()
    [124, 116, 104]
    """
    angle = rng.uniform(-degrees, degrees)

    def rotated(three: np.ndarray, places: list[int]) -> np.ndarray:
        colour = tuple(fill[i] for i in places)
        return np.asarray(Image.fromarray(three).rotate(angle, Image.Resampling.BILINEAR, fillcolor=colour))

    return by_threes(image, rotated)


def random_sized_box(width: int, height: int, area: tuple[float, float], rng: np.random.Generator) -> Box:
    """Draw a crop of a training image as the ResNeXt paper's code does: random area, aspect ratio and position.

    The aspect ratio is uniform from 3/4 to 4/3; then width and height are swapped with probability 1/2. After ten
    attempts that do not fit, the crop is the central square on the shorter side. Source: `RandomSizedCrop` in
    https://github.com/facebookresearch/ResNeXt/blob/master/datasets/transforms.lua

    Args:
        width: width of the image in pixels.
        height: height of the image in pixels.
        area: smallest and largest share of the image's area; the paper's code uses (0.08, 1).
        rng: generator of all random choices.

    >>> random_sized_box(500, 375, (0.08, 1), np.random.default_rng(0))
    (12, 0, 349, 371)
    """

    def aspect() -> float:
        drawn = rng.uniform(*ASPECTS)
        return drawn if rng.random() < 0.5 else 1 / drawn

    shorter = min(width, height)
    return random_box(width, height, area, aspect, rng) or _central_box(width, height, shorter, shorter)


def random_resized_box(width: int, height: int, area: tuple[float, float], rng: np.random.Generator) -> Box:
    """Draw a crop of a training image as torchvision does: random area, aspect ratio and position.

    The logarithm of the aspect ratio is uniform between those of 3/4 and 4/3. After ten attempts that do not fit, the
    crop is the largest central box whose aspect ratio is within these limits. Source: `RandomResizedCrop` in
    https://github.com/pytorch/vision/blob/main/torchvision/transforms/transforms.py

    Args:
        width: width of the image in pixels.
        height: height of the image in pixels.
        area: smallest and largest share of the image's area.
        rng: generator of all random choices.

    >>> random_resized_box(500, 375, (0.08, 1), np.random.default_rng(0))
    (65, 166, 194, 337)
    """
    box = random_box(width, height, area, lambda: log_uniform(*ASPECTS, rng), rng)
    narrowest, widest = ASPECTS
    largest = min(width, round(height * widest)), min(height, round(width / narrowest))
    return box or _central_box(width, height, *largest)


def random_box(
    width: int, height: int, area: tuple[float, float], aspect: Callable[[], float], rng: np.random.Generator
) -> Box | None:
    """Return a random box inside the image, or None after ten attempts that do not fit."""
    for _ in range(10):
        pixels, ratio = width * height * rng.uniform(*area), aspect()
        across, down = round(math.sqrt(pixels * ratio)), round(math.sqrt(pixels / ratio))
        if 0 < across <= width and 0 < down <= height:
            left, upper = int(rng.integers(width - across + 1)), int(rng.integers(height - down + 1))
            return left, upper, left + across, upper + down
    return None


def _central_box(width: int, height: int, across: int, down: int) -> Box:
    left, upper = (width - across) // 2, (height - down) // 2
    return left, upper, left + across, upper + down


def log_uniform(low: float, high: float, rng: np.random.Generator) -> float:
    """Draw a number from `low` to `high` whose logarithm is uniform."""
    return math.exp(rng.uniform(math.log(low), math.log(high)))
