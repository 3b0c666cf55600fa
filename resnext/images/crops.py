"""Random crops, and the mirror image: uint8 (H, W, 3), drawn from the generator that is passed."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

Colour = tuple[int, int, int]
Box = tuple[int, int, int, int]  # left, upper, right, lower: Pillow's order, in pixels

ASPECTS = (3 / 4, 4 / 3)  # width by height of a random crop, Szegedy et al. 2014


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
    crop[:] = np.array(fill, np.uint8)  # of a tuple, numbers of eight bytes would be made first
    kept = image[max(0, down) :, max(0, right) :][:height, :width]
    crop[max(0, -down) :, max(0, -right) :][:height, :width] = kept
    return crop


def flip(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mirror the image (H, W, 3) left to right with probability one half; the result may be a view of it."""
    return image[:, ::-1] if rng.random() < 0.5 else image


def random_sized_box(width: int, height: int, area: tuple[float, float], rng: np.random.Generator) -> Box:
    """Where to crop a training image as the ResNeXt paper's code does: a random area, aspect and place.

    The aspect is uniform from 3/4 to 4/3, then width and height change places with probability one half. After ten
    attempts that don't fit, it is the central square of the shorter side. `RandomSizedCrop` in
    https://github.com/facebookresearch/ResNeXt/blob/master/datasets/transforms.lua

    Args:
        width: of the image, pixels.
        height: of the image, pixels.
        area: the smallest and the largest part of the image; the paper's code has (0.08, 1).
        rng: draws everything.

    >>> random_sized_box(500, 375, (0.08, 1), np.random.default_rng(0))
    (12, 0, 349, 371)
    """

    def aspect() -> float:
        drawn = rng.uniform(*ASPECTS)
        return drawn if rng.random() < 0.5 else 1 / drawn

    shorter = min(width, height)
    return random_box(width, height, area, aspect, rng) or _central_box(width, height, shorter, shorter)


def random_resized_box(width: int, height: int, area: tuple[float, float], rng: np.random.Generator) -> Box:
    """Where to crop a training image as torchvision does: a random area, aspect and place.

    The logarithm of the aspect is uniform from that of 3/4 to that of 4/3. After ten attempts that don't fit, it is the
    largest central box of such an aspect. `RandomResizedCrop` in
    https://github.com/pytorch/vision/blob/main/torchvision/transforms/transforms.py

    Args:
        width: of the image, pixels.
        height: of the image, pixels.
        area: the smallest and the largest part of the image.
        rng: draws everything.

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
    return math.exp(rng.uniform(math.log(low), math.log(high)))
