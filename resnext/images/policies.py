"""RandAugment and TrivialAugment: random image operations of random strength."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from resnext.images.crops import Colour

RESAMPLING = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)


class _Canvas(NamedTuple):
    """The resampling filter and fill colour of an operation that moves pixels."""

    resampling: Image.Resampling
    fill: Colour


class _Change(NamedTuple):
    """One operation of a policy."""

    apply: Callable[[Image.Image, Any, _Canvas], Image.Image]
    amount: Callable[[float], float] = lambda part: (
        part
    )  # from a share of the maximum, 0 to 1, to the argument of `apply`
    signed: bool = False  # whether the negative amount is equally likely


def _auto_contrast(picture: Image.Image, amount: float, canvas: _Canvas) -> Image.Image:
    return ImageOps.autocontrast(picture)


def _equalize(picture: Image.Image, amount: float, canvas: _Canvas) -> Image.Image:
    return ImageOps.equalize(picture)


def _invert(picture: Image.Image, amount: float, canvas: _Canvas) -> Image.Image:
    return ImageOps.invert(picture)


def _posterize(picture: Image.Image, bits: int, canvas: _Canvas) -> Image.Image:
    dropped = 8 - bits
    return picture.point([level >> dropped << dropped for level in range(256)] * 3)  # ImageOps refuses 0 bits


def _solarize(picture: Image.Image, threshold: float, canvas: _Canvas) -> Image.Image:
    return ImageOps.solarize(picture, threshold)  # pyright: ignore[reportArgumentType]  # it only compares


def _solarize_add(picture: Image.Image, added: int, canvas: _Canvas) -> Image.Image:
    levels = [min(255, level + added) if level < 128 else level for level in range(256)]
    return picture.point(3 * levels)


def _color(picture: Image.Image, more: float, canvas: _Canvas) -> Image.Image:
    return ImageEnhance.Color(picture).enhance(1 + more)


def _contrast(picture: Image.Image, more: float, canvas: _Canvas) -> Image.Image:
    return ImageEnhance.Contrast(picture).enhance(1 + more)


def _brightness(picture: Image.Image, more: float, canvas: _Canvas) -> Image.Image:
    return ImageEnhance.Brightness(picture).enhance(1 + more)


def _sharpness(picture: Image.Image, more: float, canvas: _Canvas) -> Image.Image:
    return ImageEnhance.Sharpness(picture).enhance(1 + more)


def _rotate(picture: Image.Image, degrees: float, canvas: _Canvas) -> Image.Image:
    return picture.rotate(degrees, canvas.resampling, fillcolor=canvas.fill)


def _shear_x(picture: Image.Image, slope: float, canvas: _Canvas) -> Image.Image:
    return _affine(picture, (1, slope, 0, 0, 1, 0), canvas)


def _shear_y(picture: Image.Image, slope: float, canvas: _Canvas) -> Image.Image:
    return _affine(picture, (1, 0, 0, slope, 1, 0), canvas)


def _translate_x(picture: Image.Image, pixels: float, canvas: _Canvas) -> Image.Image:
    return _affine(picture, (1, 0, pixels, 0, 1, 0), canvas)


def _translate_y(picture: Image.Image, pixels: float, canvas: _Canvas) -> Image.Image:
    return _affine(picture, (1, 0, 0, 0, 1, pixels), canvas)


def _translate_x_part(picture: Image.Image, part: float, canvas: _Canvas) -> Image.Image:
    return _translate_x(picture, part * picture.width, canvas)


def _translate_y_part(picture: Image.Image, part: float, canvas: _Canvas) -> Image.Image:
    return _translate_y(picture, part * picture.height, canvas)


def _affine(picture: Image.Image, matrix: tuple[float, ...], canvas: _Canvas) -> Image.Image:
    return picture.transform(picture.size, Image.Transform.AFFINE, matrix, canvas.resampling, fillcolor=canvas.fill)


# The "increasing" operations of timm, https://github.com/huggingface/pytorch-image-models/blob/main/timm/data/
# auto_augment.py: a larger magnitude makes a larger change. The strongest posterizing keeps 0 bits: a black image.
RAND_AUGMENT = (
    _Change(_auto_contrast),
    _Change(_equalize),
    _Change(_invert),
    _Change(_rotate, lambda part: 30 * part, signed=True),
    _Change(_posterize, lambda part: 4 - int(4 * part)),
    _Change(_solarize, lambda part: 256 - int(256 * part)),
    _Change(_solarize_add, lambda part: int(110 * part)),
    _Change(_color, lambda part: 0.9 * part, signed=True),
    _Change(_contrast, lambda part: 0.9 * part, signed=True),
    _Change(_brightness, lambda part: 0.9 * part, signed=True),
    _Change(_sharpness, lambda part: 0.9 * part, signed=True),
    _Change(_shear_x, lambda part: 0.3 * part, signed=True),
    _Change(_shear_y, lambda part: 0.3 * part, signed=True),
    _Change(_translate_x_part, lambda part: 0.45 * part, signed=True),
    _Change(_translate_y_part, lambda part: 0.45 * part, signed=True),
)

# The wide space of Mueller and Hutter 2021, table 1, with the values of torchvision's TrivialAugmentWide, https://
# github.com/pytorch/vision/blob/main/torchvision/transforms/autoaugment.py. One of the 14 leaves the image unchanged.
TRIVIAL_AUGMENT = (
    _Change(lambda picture, amount, canvas: picture),
    _Change(_shear_x, lambda part: 0.99 * part, signed=True),
    _Change(_shear_y, lambda part: 0.99 * part, signed=True),
    _Change(_translate_x, lambda part: int(32 * part), signed=True),
    _Change(_translate_y, lambda part: int(32 * part), signed=True),
    _Change(_rotate, lambda part: 135 * part, signed=True),
    _Change(_brightness, lambda part: 0.99 * part, signed=True),
    _Change(_color, lambda part: 0.99 * part, signed=True),
    _Change(_contrast, lambda part: 0.99 * part, signed=True),
    _Change(_sharpness, lambda part: 0.99 * part, signed=True),
    _Change(_posterize, lambda part: 8 - round(6 * part)),
    _Change(_solarize, lambda part: 255 - 255 * part),
    _Change(_auto_contrast),
    _Change(_equalize),
)


def rand_augment(image: np.ndarray, magnitude: float, fill: Colour, rng: np.random.Generator) -> np.ndarray:
    """Apply two of 15 operations, each with probability 1/2 (Cubuk et al. 2019, as implemented in timm).

    This is timm's "rand-mM-mstd0.5-inc1", used in "ResNet strikes back" (Wightman et al. 2021). The two operations are
    drawn with replacement. Each draws its own magnitude (normal, standard deviation 0.5, clipped to 0..10), its own
    sign if the operation has one, and its own resampling filter, bilinear or bicubic.

    Args:
        image: uint8 (H, W, 3).
        magnitude: mean magnitude, from 0 to 10; "ResNet strikes back" uses 6 and 7.
        fill: colour of the area that the image no longer covers, three numbers from 0 to 255.
        rng: generator of all random choices.

    >>> image = np.full((32, 32, 3), 9, np.uint8)
    >>> rand_augment(image, 7, (124, 116, 104), np.random.default_rng(0)).shape
    (32, 32, 3)
    """
    for drawn in rng.integers(len(RAND_AUGMENT), size=2):
        if rng.random() < 0.5:
            part = min(max(rng.normal(magnitude, 0.5), 0), 10) / 10
            canvas = _Canvas(RESAMPLING[rng.integers(2)], fill)
            image = _changed(image, RAND_AUGMENT[drawn], part, canvas, rng)
    return image


def trivial_augment(image: np.ndarray, fill: Colour, rng: np.random.Generator) -> np.ndarray:
    """Apply one of 14 operations at one of 31 strengths, both drawn uniformly (Mueller and Hutter 2021).

    The ranges are the wide ones of torchvision's training recipes. The sign is drawn if the operation has one, and
    resampling is bilinear.

    Args:
        image: uint8 (H, W, 3).
        fill: colour of the area that the image no longer covers, three numbers from 0 to 255.
        rng: generator of all random choices.

    >>> image = np.full((32, 32, 3), 9, np.uint8)
    >>> trivial_augment(image, (124, 116, 104), np.random.default_rng(0)).shape
    (32, 32, 3)
    """
    change = TRIVIAL_AUGMENT[rng.integers(len(TRIVIAL_AUGMENT))]
    part = rng.integers(31) / 30
    return _changed(image, change, part, _Canvas(Image.Resampling.BILINEAR, fill), rng)


def _changed(image: np.ndarray, change: _Change, part: float, canvas: _Canvas, rng: np.random.Generator) -> np.ndarray:
    amount = change.amount(part)
    if change.signed and rng.random() < 0.5:
        amount = -amount
    return np.asarray(change.apply(Image.fromarray(image), amount, canvas))
