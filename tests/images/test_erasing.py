"""Random erasing: one rectangle of its area and aspect."""

import math

import numpy as np
import pytest

from resnext.images.erasing import random_erase
from support.draws import FILL, drawn, largest_gap, noise

pytestmark = pytest.mark.once


def erased_box(image, result):
    rows, columns = (np.flatnonzero((image != result).any((axis, 2))) for axis in (1, 0))
    return rows[0], rows[-1] + 1, columns[0], columns[-1] + 1


def test_erasing_fills_one_rectangle_of_its_area_and_aspect():
    image = noise(300, 300, 3, low=10)
    areas, aspects, boxes = [], [], []
    for result in drawn(lambda rng: random_erase(image, 1, FILL, rng), 800):
        top, bottom, left, right = erased_box(image, result)
        expected = image.copy()
        expected[top:bottom, left:right] = FILL
        np.testing.assert_array_equal(result, expected)
        areas.append((bottom - top) * (right - left) / 300**2)
        aspects.append((bottom - top) / (right - left))
        boxes.append((top, left, bottom, right))
    assert 0.0195 < min(areas) < 0.03
    assert 0.31 < max(areas) < 0.3315
    assert largest_gap(areas, lambda area: (area - 0.02) / 0.31) < 1.95
    assert 0.29 < min(aspects) < 0.33
    assert 3.0 < max(aspects) < 3.4
    assert largest_gap(aspects, lambda aspect: math.log(aspect / 0.3) / math.log(11)) < 1.95
    assert np.min(boxes, 0)[:2].max() <= 3
    assert np.max(boxes, 0)[2:].min() >= 297


@pytest.mark.parametrize("probability", [0, 0.25, 1])
def test_erasing_has_its_probability(probability):
    image = noise(32, 32, 3, low=10)
    changed = sum((x != image).any() for x in drawn(lambda rng: random_erase(image, probability, FILL, rng), 1000))
    assert abs(changed - 1000 * probability) <= 4 * math.sqrt(1000 * probability * (1 - probability))


def test_erasing_keeps_what_no_rectangle_fits_into():
    image = noise(1, 1000, 3, low=10)
    for result in drawn(lambda rng: random_erase(image, 1, FILL, rng), 50):
        np.testing.assert_array_equal(result, image)
