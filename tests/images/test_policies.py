"""RandAugment and TrivialAugment: the published operations, all of them drawn."""

import math
from itertools import product

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from resnext.images.policies import rand_augment, trivial_augment
from support.draws import FILL, drawn, noise

pytestmark = pytest.mark.once

RESAMPLING = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)


def moved(picture, resampling, *matrix):
    return picture.transform(picture.size, Image.Transform.AFFINE, matrix, resampling, fillcolor=FILL)


def strongest(picture, resampling, sign):
    """What each of timm's operations makes of `picture` at magnitude 10."""
    factor = 1 + 0.9 * sign
    return [
        ImageOps.autocontrast(picture),
        ImageOps.equalize(picture),
        ImageOps.invert(picture),
        picture.rotate(30 * sign, resampling, fillcolor=FILL),
        Image.new("RGB", picture.size),  # keeping no bits
        ImageOps.solarize(picture, 0),
        picture.point([level + 110 if level < 128 else level for level in range(256)] * 3),
        ImageEnhance.Color(picture).enhance(factor),
        ImageEnhance.Contrast(picture).enhance(factor),
        ImageEnhance.Brightness(picture).enhance(factor),
        ImageEnhance.Sharpness(picture).enhance(factor),
        moved(picture, resampling, 1, 0.3 * sign, 0, 0, 1, 0),
        moved(picture, resampling, 1, 0, 0, 0.3 * sign, 1, 0),
        moved(picture, resampling, 1, 0, 0.45 * sign * picture.width, 0, 1, 0),
        moved(picture, resampling, 1, 0, 0, 0, 1, 0.45 * sign * picture.height),
    ]


SMALL = (24, 22, 3)  # below 256 pixels equalizing does nothing; sides of 20 would move by whole pixels


def one_of_timms(picture):
    """The name of each operation that timm might draw at magnitude 10, by the bytes it makes; "" for none."""
    results = {picture.tobytes(): "none"}
    for resampling, sign in product(RESAMPLING, (-1, 1)):
        for number, result in enumerate(strongest(picture, resampling, sign)):
            results.setdefault(result.tobytes(), f"{number}, {resampling}, {sign}")
    return results


def test_rand_augment_is_two_of_timms_operations_and_all_are_drawn():
    image = noise(*SMALL, low=10, high=250)
    # 15 operations: 10 have a sign, 5 of these (moves) two kinds of resampling; inverting is solarizing from 0
    first = one_of_timms(Image.fromarray(image))
    assert len(first) == 1 + 5 + 4 * 2 + 5 * 4
    pairs = {data for step in first for data in one_of_timms(Image.frombytes("RGB", (22, 24), step))}
    results = [x.tobytes() for x in drawn(lambda rng: rand_augment(image, 1000, FILL, rng), 6000)]
    assert set(results) <= pairs
    assert set(first) <= set(results)


def test_rand_augment_draws_all_operations_and_signs_alike():
    image = noise(*SMALL, low=10, high=250)
    first = one_of_timms(Image.fromarray(image))
    results = [x.tobytes() for x in drawn(lambda rng: rand_augment(image, 1000, FILL, rng), 8000, seed=1)]
    counts = np.zeros((15, 2), int)
    for result in results:
        if first.get(result, "none") != "none":
            number, _, sign = first[result].split(", ")
            counts[int(number), int(sign == "1")] += 1
    # Half of the results have one operation: 8000 / 2 / 15 = 267 each, 16 standard deviations; and pairs like it
    totals = counts.sum(1)
    assert totals[2] > 450  # inverting, also as solarizing from 0
    assert totals[4] > 350  # black, which most operations leave black
    assert totals[5] == 0
    others = np.delete(totals, [2, 4, 5])
    assert others.min() > 200
    assert others.max() < 380
    signed = counts[[3, 7, 8, 9, 10, 11, 12, 13, 14]]
    assert (np.abs(signed[:, 0] - signed[:, 1]) < 4.5 * np.sqrt(signed.sum(1))).all()


def test_rand_augment_at_magnitude_zero_moves_and_enhances_nothing():
    image = noise(*SMALL, low=10, high=250)
    picture = Image.fromarray(image)
    kinds = [lambda p: p, ImageOps.autocontrast, ImageOps.equalize, ImageOps.invert, lambda p: ImageOps.posterize(p, 4)]
    allowed = {second(first(picture)).tobytes() for first, second in product(kinds, repeat=2)}
    assert {x.tobytes() for x in drawn(lambda rng: rand_augment(image, -1000, FILL, rng), 3000)} == allowed


@pytest.mark.parametrize("magnitude", [3, 6])
def test_magnitudes_are_normal_with_deviation_one_half(magnitude):
    black = np.zeros((2, 2, 3), np.uint8)
    # On black, with a black fill, only inverting and adding below the threshold make light: 11 levels a magnitude.
    levels = [int(x.max()) for x in drawn(lambda rng: rand_augment(black, magnitude, (0, 0, 0), rng), 8000)]
    levels = np.array([level for level in levels if abs(level - 11 * magnitude) < 25])
    low, middle, high = np.quantile(levels, [0.16, 0.5, 0.84])
    assert abs(middle + 0.5 - 11 * magnitude) < 1.5
    assert 4.5 < (high - low) / 2 < 7.5  # 5.5


def wide(picture, step, sign):
    """What each of torchvision's operations makes of `picture` at one of its 31 steps."""
    part, factor = step / 30, 1 + 0.99 * sign * step / 30
    bilinear = Image.Resampling.BILINEAR
    pixels = sign * math.floor(32 * part)
    return {
        "identity": picture,
        "shear x": moved(picture, bilinear, 1, 0.99 * part * sign, 0, 0, 1, 0),
        "shear y": moved(picture, bilinear, 1, 0, 0, 0.99 * part * sign, 1, 0),
        "translate x": moved(picture, bilinear, 1, 0, pixels, 0, 1, 0),
        "translate y": moved(picture, bilinear, 1, 0, 0, 0, 1, pixels),
        "rotate": picture.rotate(135 * part * sign, bilinear, fillcolor=FILL),
        "brightness": ImageEnhance.Brightness(picture).enhance(factor),
        "color": ImageEnhance.Color(picture).enhance(factor),
        "contrast": ImageEnhance.Contrast(picture).enhance(factor),
        "sharpness": ImageEnhance.Sharpness(picture).enhance(factor),
        "posterize": ImageOps.posterize(picture, (8, 8, 8, 7, 7, 7, 7, 7, 6, 6, 6, 6, 6, 5, 5, 5, 5, 5, 4, 4, 4, 4, 4,
                                                  3, 3, 3, 3, 3, 2, 2, 2)[step]),
        "solarize": picture.point([level if level < 255 - 8.5 * step else 255 - level for level in range(256)] * 3),
        "autocontrast": ImageOps.autocontrast(picture),
        "equalize": ImageOps.equalize(picture),
    }  # fmt: skip


def test_trivial_augment_is_one_of_torchvisions_operations_and_all_steps_are_drawn():
    image = noise(35, 34, 3, low=1, high=250)
    names = {}
    for step, sign in product(range(31), (-1, 1)):
        for name, result in wide(Image.fromarray(image), step, sign).items():
            names.setdefault(result.tobytes(), set()).add(name)
    results = [x.tobytes() for x in drawn(lambda rng: trivial_augment(image, FILL, rng), 9000)]
    assert set(results) <= set(names)
    rare = [names[data] for data in set(names) - set(results)]
    assert len(rare) <= 5, rare  # each of 61 is missed once in 40,000 times: 9000 / 14 / 61 = 10.5
    counts = {}
    for result in results:
        name = min(names[result]) if len(names[result]) == 1 else "identity"  # a step of 0, 8 bits
        counts[name] = counts.get(name, 0) + 1
    assert len(counts) == 14
    # 9000 / 14 = 643 each, 25 standard deviations; the first of 31 steps, the first 3 of posterizing, are identities
    assert 750 < counts.pop("identity") < 1100
    assert min(counts.values()) > 500
    assert max(counts.values()) < 750
    two_bits = ImageOps.posterize(Image.fromarray(image), 2).tobytes()
    assert 35 < results.count(two_bits) < 90  # 3 of the 31 steps: 62
