"""Random changes to training images, uint8 (H, W, 3), each drawn from the generator that it is given."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

Colour = tuple[int, int, int]
Box = tuple[int, int, int, int]  # left, upper, right, lower: Pillow's order, in pixels

ASPECTS = (3 / 4, 4 / 3)  # width by height of a random crop, Szegedy et al. 2014
RESAMPLING = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)
GREY = np.array([0.299, 0.587, 0.114])  # weights of red, green and blue, ITU-R BT.601

# Principal components of the colours, 0..1, of ImageNet's training images, a column each; `imagenet.lua` in
# https://github.com/facebookresearch/ResNeXt/blob/master/datasets/
EIGENVALUES = np.array([0.2175, 0.0188, 0.0045])
EIGENVECTORS = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])


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
    return _random_box(width, height, area, aspect, rng) or _central_box(width, height, shorter, shorter)


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
    box = _random_box(width, height, area, lambda: _log_uniform(*ASPECTS, rng), rng)
    narrowest, widest = ASPECTS
    largest = min(width, round(height * widest)), min(height, round(width / narrowest))
    return box or _central_box(width, height, *largest)


def color_jitter(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Change brightness, contrast and saturation, each at random, as the ResNeXt paper's code does.

    Each blends the image with another: `alpha * image + (1 - alpha) * other`, alpha uniform from 1 - strength to
    1 + strength. The other is black for the brightness, the mean grey for the contrast, the grey image for the
    saturation. Rounded and clipped to 0..255 once, at the end; the Torch code never clips, torchvision clips three
    times. `ColorJitter` in https://github.com/facebookresearch/ResNeXt/blob/master/datasets/transforms.lua

    Args:
        image: uint8 (H, W, 3).
        strength: from 0 to 1; the Torch code has 0.4.
        rng: draws the three alphas.

    >>> color_jitter(np.full((1, 1, 3), 100, np.uint8), 0.4, np.random.default_rng(0)).tolist()
    [[[111, 111, 111]]]
    """
    brightness, contrast, saturation = 1 + rng.uniform(-strength, strength, 3)
    picture = Image.fromarray(image)
    levels = np.reshape(picture.histogram(), (3, 256))
    mean_grey = GREY @ levels @ np.arange(256) / levels[0].sum()
    # The Torch code draws an order too, which changes nothing where nothing is clipped between: saturation leaves all
    # greys alone, contrast their mean. So the pixels meet the product of the three, one map of (red, green, blue, 1).
    colours = contrast * (saturation * np.eye(3) + (1 - saturation) * GREY)
    offset = np.full((3, 1), (1 - contrast) * mean_grey)
    both = brightness * np.hstack([colours, offset])
    return np.asarray(picture.convert("RGB", tuple(both.ravel())))


def lighting(image: np.ndarray, std: float, rng: np.random.Generator) -> np.ndarray:
    """Add one random colour along the principal components of ImageNet's colours; Krizhevsky et al. 2012, section 4.1.

    `Lighting` in https://github.com/facebookresearch/ResNeXt/blob/master/datasets/transforms.lua, rounded and clipped.

    Args:
        image: uint8 (H, W, 3).
        std: standard deviation of the three weights; the Torch code has 0.1.
        rng: draws the weights.

    >>> lighting(np.full((1, 1, 3), 100, np.uint8), 0.1, np.random.default_rng(3)).tolist()
    [[[93, 93, 94]]]
    """
    colour = 255 * EIGENVECTORS @ (EIGENVALUES * rng.normal(0, std, 3))
    levels = (np.arange(256) + colour[:, None]).round().clip(0, 255)
    return np.asarray(Image.fromarray(image).point(levels.astype(int).ravel().tolist()))


class _Canvas(NamedTuple):
    """How a picture is drawn in a new place."""

    resampling: Image.Resampling
    fill: Colour


class _Change(NamedTuple):
    """One operation of a policy."""

    apply: Callable[[Image.Image, Any, _Canvas], Image.Image]
    amount: Callable[[float], float] = lambda part: part  # what `apply` takes, from a part of the most, 0 to 1
    signed: bool = False  # minus the amount is as likely


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
    return ImageOps.solarize(picture, threshold)  # pyright: ignore[reportArgumentType]  # it compares only


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
# auto_augment.py: a larger magnitude is a larger change. Its strongest posterizing keeps 0 bits: a black image.
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

# The wide space of Mueller and Hutter 2021, table 1, with the numbers of torchvision's TrivialAugmentWide, https://
# github.com/pytorch/vision/blob/main/torchvision/transforms/autoaugment.py. Its 14th is to leave the image alone.
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
    """Change the image by two of 15 operations, each with probability one half; Cubuk et al. 2019 as timm has it.

    That is timm's "rand-mM-mstd0.5-inc1", of "ResNet strikes back" (Wightman et al. 2021): the two are drawn with
    replacement, each with its own magnitude, normal with deviation 0.5 and clipped to 0..10, its own sign where it has
    one, and its own resampling, bilinear or bicubic.

    Args:
        image: uint8 (H, W, 3).
        magnitude: the mean, from 0 to 10; "ResNet strikes back" has 6 and 7.
        fill: the colour of what comes into view, three numbers from 0 to 255.
        rng: draws everything.

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
    """Change the image by one of 14 operations at one of 31 strengths, both uniform; Mueller and Hutter 2021.

    With the wide ranges that torchvision's training recipes use, the sign drawn where there is one, bilinear.

    Args:
        image: uint8 (H, W, 3).
        fill: the colour of what comes into view, three numbers from 0 to 255.
        rng: draws everything.

    >>> image = np.full((32, 32, 3), 9, np.uint8)
    >>> trivial_augment(image, (124, 116, 104), np.random.default_rng(0)).shape
    (32, 32, 3)
    """
    change = TRIVIAL_AUGMENT[rng.integers(len(TRIVIAL_AUGMENT))]
    part = rng.integers(31) / 30
    return _changed(image, change, part, _Canvas(Image.Resampling.BILINEAR, fill), rng)


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
    box = _random_box(width, height, (0.02, 0.33), lambda: 1 / _log_uniform(0.3, 3.3, rng), rng)
    if box is None:
        return image
    left, upper, right, lower = box
    erased = image.copy()
    erased[upper:lower, left:right] = fill
    return erased


def mixup(
    images: np.ndarray, targets: np.ndarray, alpha: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Blend each image and its target with another of the batch; Zhang et al. 2017, https://arxiv.org/abs/1710.09412.

    One share for the batch, from Beta(alpha, alpha). Partners are the batch and its reverse, as in timm: a batch is in
    random order already, and none but the middle one of an odd number is its own partner.

    Args:
        images: uint8 (N, H, W, 3).
        targets: float32 (N, K), each a distribution over the classes.
        alpha: above 0; the paper has 0.1 to 0.4 for ImageNet.
        rng: draws the share.

    Returns:
        images: uint8 (N, H, W, 3), rounded.
        targets: float32 (N, K).

    >>> images = np.stack([np.full((1, 1, 3), level, np.uint8) for level in (0, 100)])
    >>> images, targets = mixup(images, np.eye(2, dtype="float32"), 1, np.random.default_rng(3))
    >>> images[:, 0, 0, 0].tolist(), targets.astype(float).round(2).tolist()
    ([73, 27], [[0.27, 0.73], [0.73, 0.27]])
    """
    share = np.float32(rng.beta(alpha, alpha))
    mixed = np.empty_like(images)
    for result, image, partner in zip(mixed, images, images[::-1], strict=True):
        np.rint(_blend(image, partner, share), out=result, casting="unsafe")
    return mixed, _blend(targets, targets[::-1], share)


def cutmix(
    images: np.ndarray, targets: np.ndarray, alpha: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Paste a rectangle of another image of the batch into each; Yun et al. 2019, https://arxiv.org/abs/1905.04899.

    One rectangle for the batch, of the image's aspect and, before its ends are cut off at the image's, of a part of
    the area from Beta(alpha, alpha). Targets are blended by the area that was pasted. Partners are those of `mixup`.

    Args:
        images: uint8 (N, H, W, 3).
        targets: float32 (N, K), each a distribution over the classes.
        alpha: above 0; the paper has 1.
        rng: draws the area and the centre.

    Returns:
        images: uint8 (N, H, W, 3).
        targets: float32 (N, K).

    >>> images = np.stack([np.full((8, 8, 3), level, np.uint8) for level in (0, 1)])
    >>> images, targets = cutmix(images, np.eye(2, dtype="float32"), 1, np.random.default_rng(0))
    >>> images[..., 0].mean((1, 2)).tolist(), targets.tolist()
    ([0.125, 0.875], [[0.875, 0.125], [0.125, 0.875]])
    """
    height, width = images.shape[1:3]
    side = np.sqrt(1 - rng.beta(alpha, alpha))
    rows, columns = (_clipped_range(length, int(length * side), rng) for length in (height, width))
    mixed = images.copy()
    mixed[:, rows, columns] = images[::-1, rows, columns]
    pasted = (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width)
    return mixed, _blend(targets, targets[::-1], np.float32(1 - pasted))


def _blend(first: np.ndarray, second: np.ndarray, share: np.float32) -> np.ndarray:
    return share * first + (1 - share) * second


def _clipped_range(length: int, part: int, rng: np.random.Generator) -> slice:
    centre = int(rng.integers(length))
    return slice(max(0, centre - part // 2), min(length, centre + part // 2))


def _changed(image: np.ndarray, change: _Change, part: float, canvas: _Canvas, rng: np.random.Generator) -> np.ndarray:
    amount = change.amount(part)
    if change.signed and rng.random() < 0.5:
        amount = -amount
    return np.asarray(change.apply(Image.fromarray(image), amount, canvas))


def _random_box(
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


def _log_uniform(low: float, high: float, rng: np.random.Generator) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(high)))
