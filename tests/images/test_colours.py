"""Colour jitter and lighting: blends, rounding and distributions."""

from itertools import permutations

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from resnext.images.colours import color_jitter, lighting
from support.draws import drawn, largest_gap, noise

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
