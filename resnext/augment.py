"""Random changes to one training image, uint8 (H, W, 3), each drawn from the generator that it is given."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageOps


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


Box = tuple[int, int, int, int]  # left, upper, right, lower, in pixels
Fill = tuple[int, int, int]  # a colour, three numbers from 0 to 255

ATTEMPTS = 10  # of a random rectangle that must fit, in Torch's code and in torchvision's
ASPECTS = (3 / 4, 4 / 3)  # of a crop, width over height (Szegedy et al. 2015, https://arxiv.org/abs/1409.4842)


def random_sized_box(width: int, height: int, area: tuple[float, float], rng: np.random.Generator) -> Box:
    """A random box of an image, as the ResNeXt Torch code's RandomSizedCrop draws it (datasets/transforms.lua).

    The aspect is uniform in 3/4..4/3, then width and height change places half of the time; where ten draws don't fit,
    it is the central square.

    Args:
        width: of the image, pixels.
        height: of the image, pixels.
        area: lowest and highest share of the image's area.
        rng: draws.

    >>> random_sized_box(500, 375, (0.08, 1.0), np.random.default_rng(0))
    (12, 0, 349, 371)
    """
    for _ in range(ATTEMPTS):
        target, aspect = rng.uniform(*area) * width * height, rng.uniform(*ASPECTS)
        sides = round(math.sqrt(target * aspect)), round(math.sqrt(target / aspect))
        w, h = sides if rng.random() < 0.5 else sides[::-1]
        if 0 < w <= width and 0 < h <= height:
            return _placed(w, h, width, height, rng)
    side = min(width, height)
    return _central(side, side, width, height)


def random_resized_box(width: int, height: int, area: tuple[float, float], rng: np.random.Generator) -> Box:
    """As `random_sized_box`, as torchvision's RandomResizedCrop and timm draw it.

    The logarithm of the aspect is uniform; where ten draws don't fit, it is the largest central box of an aspect in
    3/4..4/3.

    >>> random_resized_box(500, 20, (0.9, 1.0), np.random.default_rng(0))
    (236, 0, 263, 20)
    """
    for _ in range(ATTEMPTS):
        target = rng.uniform(*area) * width * height
        aspect = _log_uniform(*ASPECTS, rng)
        w, h = round(math.sqrt(target * aspect)), round(math.sqrt(target / aspect))
        if 0 < w <= width and 0 < h <= height:
            return _placed(w, h, width, height, rng)
    lowest, highest = ASPECTS
    w, h = min(width, round(height * highest)), min(height, round(width / lowest))
    return _central(w, h, width, height)


def _log_uniform(lowest: float, highest: float, rng: np.random.Generator) -> float:
    return math.exp(rng.uniform(math.log(lowest), math.log(highest)))


def _placed(w: int, h: int, width: int, height: int, rng: np.random.Generator) -> Box:
    left, upper = int(rng.integers(width - w, endpoint=True)), int(rng.integers(height - h, endpoint=True))
    return left, upper, left + w, upper + h


def _central(w: int, h: int, width: int, height: int) -> Box:
    left, upper = (width - w) // 2, (height - h) // 2
    return left, upper, left + w, upper + h


GREY = np.array([0.299, 0.587, 0.114], np.float32)  # shares of red, green and blue in brightness (ITU-R BT.601)


def color_jitter(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Change brightness, contrast and saturation, in random order, each by a factor from 1 - strength to 1 + strength.

    The Torch code's ColorJitter: blended with black, with the mean of the grey image, and with the grey image. Torch
    keeps floating-point numbers; here they are rounded and cut to 0..255 once, at the end.

    Args:
        image: uint8 (H, W, 3).
        strength: 0.4 in the Torch code.
        rng: draws the order and the three factors.

    >>> color_jitter(np.full((2, 2, 3), 100, np.uint8), 0.4, np.random.default_rng(0)).shape
    (2, 2, 3)
    """
    changes = [_brightness, _contrast, _saturation]
    pixels = image.astype(np.float32)
    for i in rng.permutation(len(changes)):
        pixels = changes[i](pixels, np.float32(1 + rng.uniform(-strength, strength)))
    return _to_uint8(pixels)


def _brightness(pixels: np.ndarray, factor: np.float32) -> np.ndarray:
    return pixels * factor


def _contrast(pixels: np.ndarray, factor: np.float32) -> np.ndarray:
    return pixels * factor + (1 - factor) * (pixels @ GREY).mean()


def _saturation(pixels: np.ndarray, factor: np.float32) -> np.ndarray:
    return pixels * factor + (1 - factor) * (pixels @ GREY)[..., None]


def _to_uint8(pixels: np.ndarray) -> np.ndarray:
    return np.rint(pixels).clip(0, 255).astype(np.uint8)


# Of ImageNet's colours on the scale 0..1, from the Torch code (datasets/imagenet.lua).
EIGENVALUES = np.array([0.2175, 0.0188, 0.0045])
EIGENVECTORS = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])


def lighting(image: np.ndarray, std: float, rng: np.random.Generator) -> np.ndarray:
    """Move all pixels along the principal components of ImageNet's colours (Krizhevsky et al. 2012, section 4.1).

    Args:
        image: uint8 (H, W, 3).
        std: of the three normal factors; 0.1 in the Torch code.
        rng: draws them.

    >>> lighting(np.full((1, 1, 3), 100, np.uint8), 0.1, np.random.default_rng(0)).tolist()
    [[[100, 100, 100]]]
    """
    shift = EIGENVECTORS @ (rng.normal(0, std, 3) * EIGENVALUES)
    return _to_uint8(image + (255 * shift).astype(np.float32))


Operation = Callable[[Image.Image, float, Fill, Image.Resampling], Image.Image]


def _affine(*matrix: Callable[[float, Image.Image], float]) -> Operation:
    """An operation that takes each pixel from where the matrix says, of the amount and the picture."""

    def operation(picture, amount, fill, resampling):
        numbers = [number(amount, picture) for number in matrix]
        return picture.transform(picture.size, Image.Transform.AFFINE, numbers, resampling, fillcolor=fill)

    return operation


def _zero(amount, picture):
    return 0.0


def _one(amount, picture):
    return 1.0


def _same(amount, picture):
    return amount


def _enhanced(kind) -> Operation:
    return lambda picture, amount, fill, resampling: kind(picture).enhance(amount)


def _solarize_add(picture: Image.Image, amount: float, fill: Fill, resampling: Image.Resampling) -> Image.Image:
    return picture.point([min(255, i + int(amount)) if i < 128 else i for i in range(256)] * 3)


# What AutoAugment and its successors are made of (Cubuk et al. 2019, https://arxiv.org/abs/1805.09501, table 6). Each
# takes (picture, amount, fill, resampling).
OPERATIONS: dict[str, Operation] = {
    "identity": lambda picture, *_: picture,
    "autocontrast": lambda picture, *_: ImageOps.autocontrast(picture),
    "equalize": lambda picture, *_: ImageOps.equalize(picture),
    "invert": lambda picture, *_: ImageOps.invert(picture),
    "posterize": lambda picture, bits, *_: ImageOps.posterize(picture, int(bits)) if bits >= 1 else _black(picture),
    "solarize": lambda picture, threshold, *_: ImageOps.solarize(picture, math.ceil(threshold)),
    "solarize_add": _solarize_add,
    "color": _enhanced(ImageEnhance.Color),
    "contrast": _enhanced(ImageEnhance.Contrast),
    "brightness": _enhanced(ImageEnhance.Brightness),
    "sharpness": _enhanced(ImageEnhance.Sharpness),
    "rotate": lambda picture, degrees, fill, resampling: picture.rotate(degrees, resampling, fillcolor=fill),
    "shear_x": _affine(_one, _same, _zero, _zero, _one, _zero),
    "shear_y": _affine(_one, _zero, _zero, _same, _one, _zero),
    "translate_x": _affine(_one, _zero, _same, _zero, _one, _zero),
    "translate_y": _affine(_one, _zero, _zero, _zero, _one, _same),
    "translate_x_share": _affine(_one, _zero, lambda share, p: share * p.width, _zero, _one, _zero),
    "translate_y_share": _affine(_one, _zero, _zero, _zero, _one, lambda share, p: share * p.height),
}


def _black(picture: Image.Image) -> Image.Image:
    return Image.new("RGB", picture.size)


Amount = Callable[[float, float], float]  # of a strength from 0 to 1 and a sign, 1 or -1

# timm's "increasing" operations and what they do at strength 1.
RAND_AUGMENT: dict[str, Amount] = {
    "autocontrast": lambda strength, sign: 0,
    "equalize": lambda strength, sign: 0,
    "invert": lambda strength, sign: 0,
    "rotate": lambda strength, sign: sign * 30 * strength,
    "posterize": lambda strength, sign: 4 - int(4 * strength),
    "solarize": lambda strength, sign: 256 - min(256, int(256 * strength)),
    "solarize_add": lambda strength, sign: min(128, int(110 * strength)),
    "color": lambda strength, sign: max(0.1, 1 + sign * 0.9 * strength),
    "contrast": lambda strength, sign: max(0.1, 1 + sign * 0.9 * strength),
    "brightness": lambda strength, sign: max(0.1, 1 + sign * 0.9 * strength),
    "sharpness": lambda strength, sign: max(0.1, 1 + sign * 0.9 * strength),
    "shear_x": lambda strength, sign: sign * 0.3 * strength,
    "shear_y": lambda strength, sign: sign * 0.3 * strength,
    "translate_x_share": lambda strength, sign: sign * 0.45 * strength,
    "translate_y_share": lambda strength, sign: sign * 0.45 * strength,
}


def rand_augment(image: np.ndarray, magnitude: float, fill: Fill, rng: np.random.Generator) -> np.ndarray:
    """Two random operations, each applied half of the time: timm's "rand-m{magnitude}-mstd0.5-inc1".

    RandAugment (Cubuk et al. 2020, https://arxiv.org/abs/1909.13719) as ResNet Strikes Back has it
    (https://arxiv.org/abs/2110.00476, table 2): the magnitude of each is normal around the one given, deviation 0.5.

    Args:
        image: uint8 (H, W, 3).
        magnitude: from 0 to 10.
        fill: the colour of what comes from outside the image.
        rng: draws operations, magnitudes, signs and interpolation.

    >>> rand_augment(np.zeros((8, 8, 3), np.uint8), 7.0, (124, 116, 104), np.random.default_rng(0)).shape
    (8, 8, 3)
    """
    picture, names = Image.fromarray(image), list(RAND_AUGMENT)
    for i in rng.integers(len(names), size=2):
        resampling = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)[rng.integers(2)]
        strength, sign = np.clip(rng.normal(magnitude, 0.5), 0, 10) / 10, _sign(rng)
        if rng.random() < 0.5:
            amount = RAND_AUGMENT[names[i]](strength, sign)
            picture = OPERATIONS[names[i]](picture, amount, fill, resampling)
    return np.asarray(picture)


# torchvision's TrivialAugmentWide: what each operation does at strength 1.
TRIVIAL_AUGMENT: dict[str, Amount] = {
    "identity": lambda strength, sign: 0,
    "shear_x": lambda strength, sign: sign * 0.99 * strength,
    "shear_y": lambda strength, sign: sign * 0.99 * strength,
    "translate_x": lambda strength, sign: int(sign * 32 * strength),
    "translate_y": lambda strength, sign: int(sign * 32 * strength),
    "rotate": lambda strength, sign: sign * 135 * strength,
    "brightness": lambda strength, sign: 1 + sign * 0.99 * strength,
    "color": lambda strength, sign: 1 + sign * 0.99 * strength,
    "contrast": lambda strength, sign: 1 + sign * 0.99 * strength,
    "sharpness": lambda strength, sign: 1 + sign * 0.99 * strength,
    "posterize": lambda strength, sign: 8 - round(6 * strength),
    "solarize": lambda strength, sign: 255 * (1 - strength),
    "autocontrast": lambda strength, sign: 0,
    "equalize": lambda strength, sign: 0,
}


def trivial_augment(image: np.ndarray, fill: Fill, rng: np.random.Generator) -> np.ndarray:
    """One random operation of a random strength in 31 steps, as torchvision's TrivialAugmentWide.

    Müller & Hutter 2021, https://arxiv.org/abs/2103.10158, table 1 ("wide").

    Args:
        image: uint8 (H, W, 3).
        fill: the colour of what comes from outside the image; torchvision's is black.
        rng: draws operation, strength and sign.

    >>> trivial_augment(np.zeros((8, 8, 3), np.uint8), (0, 0, 0), np.random.default_rng(0)).shape
    (8, 8, 3)
    """
    name = list(TRIVIAL_AUGMENT)[rng.integers(len(TRIVIAL_AUGMENT))]
    amount = TRIVIAL_AUGMENT[name](rng.integers(31) / 30, _sign(rng))
    return np.asarray(OPERATIONS[name](Image.fromarray(image), amount, fill, Image.Resampling.BILINEAR))


def _sign(rng: np.random.Generator) -> float:
    return 1.0 if rng.random() < 0.5 else -1.0


def random_erase(image: np.ndarray, probability: float, fill: Fill, rng: np.random.Generator) -> np.ndarray:
    """Fill a random rectangle (Zhong et al. 2017, https://arxiv.org/abs/1708.04896), as torchvision's RandomErasing.

    Its area is 2 to 33 % of the image's, its aspect log-uniform in 0.3..3.3; after ten draws that don't fit, nothing.

    Args:
        image: uint8 (H, W, 3).
        probability: of doing it.
        fill: the colour; the mean colour is the zero that torchvision writes after normalising.
        rng: draws.

    >>> random_erase(np.zeros((32, 32, 3), np.uint8), 1.0, (9, 9, 9), np.random.default_rng(0)).max()
    np.uint8(9)
    """
    if rng.random() >= probability:
        return image
    height, width, _ = image.shape
    for _ in range(ATTEMPTS):
        target, aspect = rng.uniform(0.02, 0.33) * width * height, _log_uniform(0.3, 3.3, rng)
        w, h = round(math.sqrt(target / aspect)), round(math.sqrt(target * aspect))
        if 0 < w < width and 0 < h < height:
            left, upper, right, lower = _placed(w, h, width, height, rng)
            erased = image.copy()
            erased[upper:lower, left:right] = fill
            return erased
    return image


Batch = tuple[np.ndarray, np.ndarray]


def mixup(images: np.ndarray, targets: np.ndarray, alpha: float, rng: np.random.Generator) -> Batch:
    """Blend each image of a batch with its partner (Zhang et al. 2018, https://arxiv.org/abs/1710.09412).

    The partner is the image as far from the other end of the batch, as in timm. Pixels are rounded to uint8.

    Args:
        images: uint8 (N, H, W, 3).
        targets: float32 (N, classes).
        alpha: of the beta distribution of the image's own share, one for the batch.
        rng: draws it.

    Returns:
        New images and targets.

    >>> mixup(np.zeros((2, 1, 1, 3), np.uint8), np.eye(2, dtype=np.float32), 0.2, np.random.default_rng(0))[1].sum()
    np.float32(2.0)
    """
    share = np.float32(rng.beta(alpha, alpha))
    mixed = images.astype(np.float32) * share
    mixed += images[::-1].astype(np.float32) * (1 - share)
    return np.rint(mixed, out=mixed).astype(np.uint8), _shared(targets, share)


def cutmix(images: np.ndarray, targets: np.ndarray, alpha: float, rng: np.random.Generator) -> Batch:
    """Put a box of its partner into each image of a batch (Yun et al. 2019, https://arxiv.org/abs/1905.04899).

    As `mixup`; the box has the partner's share of the area, its centre is anywhere, and what lies outside is cut:
    the targets have the shares that are left.

    >>> cutmix(np.zeros((2, 4, 4, 3), np.uint8), np.eye(2, dtype=np.float32), 1.0, np.random.default_rng(0))[1].sum()
    np.float32(2.0)
    """
    _, height, width, _ = images.shape
    side = math.sqrt(1 - rng.beta(alpha, alpha))
    upper, lower = _cut(height, side, rng)
    left, right = _cut(width, side, rng)
    mixed = images.copy()
    mixed[:, upper:lower, left:right] = images[::-1, upper:lower, left:right]
    return mixed, _shared(targets, np.float32(1 - (lower - upper) * (right - left) / (height * width)))


def _cut(length: int, share: float, rng: np.random.Generator) -> tuple[int, int]:
    centre, half = int(rng.integers(length)), int(length * share) // 2
    return max(0, centre - half), min(length, centre + half)


def _shared(targets: np.ndarray, share: np.float32) -> np.ndarray:
    return targets * share + targets[::-1] * (1 - share)
