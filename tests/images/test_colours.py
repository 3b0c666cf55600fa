"""Colour jitter, lighting, hues and grey: blends, rounding and distributions."""

import colorsys
import math
from itertools import permutations

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from resnext.images.colours import color_jitter, lighting, random_greyscale, shift_hue
from support.draws import Highest, drawn, largest_gap, noise

pytestmark = pytest.mark.once

GREY = (0.299, 0.587, 0.114)


def grey_of(pixels):
    return sum(weight * pixels[..., channel] for channel, weight in enumerate(GREY))[..., None]


def blended(pixels, operation, alpha):
    """One step of the Torch code."""
    other = {"brightness": 0, "contrast": grey_of(pixels).mean(), "saturation": grey_of(pixels)}[operation]
    return alpha * pixels + (1 - alpha) * other


def alphas_of(image, changed):
    """Brightness scales the mean grey, contrast also the greys' distance from it, saturation also all colours'."""
    before, after = image.astype(float), changed.astype(float)
    old, new = grey_of(before), grey_of(after)
    fit = [
        np.vdot(b, a) / np.vdot(b, b) for b, a in ((old - old.mean(), new - new.mean()), (before - old, after - new))
    ]
    brightness = new.mean() / old.mean()
    return {"brightness": brightness, "contrast": fit[0] / brightness, "saturation": fit[1] / fit[0]}


def test_jitter_is_the_three_blends_in_whatever_order():
    image = noise(32, 32, 3, low=60, high=120)  # nothing is clipped
    for changed in drawn(lambda rng: color_jitter(image, 0.4, rng), 20):
        alphas = alphas_of(image, changed)
        for order in permutations(alphas):
            expected = image.astype(float)
            for operation in order:
                expected = blended(expected, operation, alphas[operation])
            assert np.abs(changed - expected).max() < 0.75  # the rounding, and that of the alphas


def test_jitter_is_pillows_enhancing_but_for_rounding():
    image = noise(32, 32, 3, low=60, high=120)
    kinds = {"brightness": ImageEnhance.Brightness, "contrast": ImageEnhance.Contrast, "saturation": ImageEnhance.Color}
    for changed in drawn(lambda rng: color_jitter(image, 0.4, rng), 20):
        picture = Image.fromarray(image)
        for operation, alpha in alphas_of(image, changed).items():
            picture = kinds[operation](picture).enhance(alpha)
        assert np.abs(np.asarray(picture).astype(int) - changed).max() <= 4  # it cuts off three fractions


def test_jitter_draws_each_alpha_uniformly_and_independently():
    image = noise(32, 32, 3, low=60, high=120)
    alphas = np.array(
        [list(alphas_of(image, x).values()) for x in drawn(lambda rng: color_jitter(image, 0.4, rng), 800)]
    )
    for column in alphas.T:
        assert largest_gap(column, lambda alpha: np.clip((alpha - 0.6) / 0.8, 0, 1)) < 1.95
    correlations = np.corrcoef(alphas.T)[np.triu_indices(3, 1)]
    assert np.abs(correlations).max() < 0.12  # 3.4 standard deviations


def test_jitter_clips_and_rounds_once():
    image = np.array([[[0, 128, 255]] * 2], np.uint8)
    results = np.array(drawn(lambda rng: color_jitter(image, 1, rng), 200))
    assert results.min() == 0
    assert results.max() == 255
    white = np.full((2, 2, 3), 255, np.uint8)
    means = [x.mean() for x in drawn(lambda rng: color_jitter(white, 0.4, rng), 200)]
    assert 0.4 < np.mean(np.equal(means, 255)) < 0.6  # brighter half of the time, not wrapped around


def test_no_jitter_and_no_lighting_change_nothing():
    image = noise(16, 16, 3)
    np.testing.assert_array_equal(color_jitter(image, 0, np.random.default_rng(0)), image)
    np.testing.assert_array_equal(lighting(image, 0, np.random.default_rng(0)), image)


@pytest.mark.parametrize("std", [0.1, 1])
def test_lighting_adds_the_torch_codes_colour(std):
    values = (0.2175, 0.0188, 0.0045)
    vectors = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))
    image = noise(8, 8, 3)
    for seed in range(20):
        alpha = np.random.default_rng(seed).normal(0, std, 3)
        expected = image.astype(float)
        for channel in range(3):
            expected[..., channel] += 255 * sum(vectors[channel][i] * alpha[i] * values[i] for i in range(3))
        result = lighting(image, std, np.random.default_rng(seed))
        assert np.abs(result - expected.clip(0, 255)).max() <= 0.5 + 1e-4


def with_hues_shifted(image, turns):
    """The definition, pixel by pixel in floating point."""
    hues = [colorsys.rgb_to_hsv(*pixel) for pixel in image.reshape(-1, 3) / 255]
    pixels = [colorsys.hsv_to_rgb((hue + turns) % 1, saturation, value) for hue, saturation, value in hues]
    return 255 * np.array(pixels).reshape(image.shape)


@pytest.mark.parametrize("strength", [0.0, 0.2, 0.5])
def test_hues_shift_by_their_definition(strength):
    image = noise(24, 24, 3)
    difference = np.abs(shift_hue(image, strength, Highest()) - with_hues_shifted(image, strength))
    assert difference.max() <= 10  # Pillow's hues are 6/255 of a sixth of the circle apart
    assert difference.mean() < 2


def test_hues_go_round_the_circle_and_greys_stay():
    red = np.full((1, 1, 3), (200, 0, 0), np.uint8)
    assert shift_hue(red, 1 / 3, Highest()).tolist() == [[[0, 200, 0]]]
    blue = shift_hue(red, -1 / 3, Highest())
    assert blue.tolist() == [[[0, 0, 200]]]
    assert shift_hue(blue, 1 / 3, Highest()).tolist() == red.tolist()  # past the end, which is the start
    greys = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    for result in drawn(lambda rng: shift_hue(greys, 0.5, rng), 50):
        np.testing.assert_array_equal(result, greys)


@pytest.mark.parametrize("strength", [0.1, 0.5])
def test_shifts_of_the_hue_are_uniform_to_both_sides(strength):
    red = np.full((1, 1, 3), (255, 0, 0), np.uint8)
    results = drawn(lambda rng: shift_hue(red, strength, rng), 400)
    shifts = [(colorsys.rgb_to_hsv(*result[0, 0] / 255)[0] + 0.5) % 1 - 0.5 for result in results]
    assert min(shifts) < -0.96 * strength
    assert max(shifts) > 0.96 * strength
    assert largest_gap(shifts, lambda shift: np.clip((shift + strength) / (2 * strength), 0, 1)) < 1.95


@pytest.mark.parametrize("probability", [0, 0.25, 1])
def test_grey_is_pillows_and_has_its_probability(probability):
    image = noise(16, 16, 3)
    grey = np.asarray(Image.fromarray(image).convert("L"))[..., None].repeat(3, axis=2)
    assert np.abs(grey - grey_of(image.astype(float))).max() <= 0.51  # the luma of ITU-R 601
    results = drawn(lambda rng: random_greyscale(image, probability, rng), 1000)
    changed = sum(np.array_equal(result, grey) for result in results)
    assert changed + sum(np.array_equal(result, image) for result in results) == 1000
    assert abs(changed - 1000 * probability) <= 4 * math.sqrt(1000 * probability * (1 - probability))
