"""Random blurring: a Gaussian of its widths, as often as asked."""

import math

import numpy as np
import pytest

from resnext.images.blurring import random_blur
from support.draws import drawn, largest_gap, noise

pytestmark = pytest.mark.once


def width_of(image):
    """The standard deviation of the Gaussian that has blurred an upright edge of black and white."""
    steps = np.diff(image[0, :, 0].astype(float))
    places = np.arange(len(steps)) - len(steps) / 2 + 0.5
    assert abs(np.vdot(steps, places)) < 255 * 0.05  # the edge has not moved
    return math.sqrt(np.vdot(steps, places**2) / 255)


def test_the_width_of_the_blur_is_uniform_from_a_tenth_to_two_pixels():
    edge = np.zeros((1, 40, 3), np.uint8)
    edge[:, 20:] = 255
    for image in (edge, edge.transpose(1, 0, 2)):
        results = [random_blur(image, 1, np.random.default_rng(seed)) for seed in range(400)]
        widths = [width_of(result if image is edge else result.transpose(1, 0, 2)) for result in results]
        assert max(widths) > 1.95
        assert largest_gap(widths, lambda width: np.clip((width - 0.1) / 1.9, 0, 1)) < 1.95


def test_blur_keeps_the_mean_colour_and_does_not_mix_the_channels():
    image = noise(64, 64, 3) // np.array([1, 2, 4], np.uint8)
    for result in drawn(lambda rng: random_blur(image, 1, rng), 20):
        assert np.abs(result.mean((0, 1)) - image.mean((0, 1))).max() < 1
        assert result.std() <= image.std()
    plain = np.full((9, 9, 3), (200, 7, 90), np.uint8)
    for result in drawn(lambda rng: random_blur(plain, 1, rng), 20):
        np.testing.assert_array_equal(result, plain)


@pytest.mark.parametrize("probability", [0, 0.25, 1])
def test_blur_has_its_probability(probability):
    image = noise(32, 32, 3)
    changed = sum((x != image).any() for x in drawn(lambda rng: random_blur(image, probability, rng), 1000))
    assert abs(changed - 1000 * probability) <= 4 * math.sqrt(1000 * probability * (1 - probability))
