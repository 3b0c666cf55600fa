"""Random crops, boxes, flips and rotations: where they lie, and how often."""

import math

import keras
import numpy as np
import pytest

from resnext.images.crops import flip, pad_and_crop, random_resized_box, random_sized_box, rotate, vertical_flip
from support.draws import FILL, Highest, drawn, largest_gap, noise

pytestmark = pytest.mark.once

BOXES = [random_sized_box, random_resized_box]


def padded_reference(image, pad):
    height, width, _ = image.shape
    padded = np.empty((height + 2 * pad, width + 2 * pad, 3), np.uint8)
    padded[:] = FILL
    padded[pad : pad + height, pad : pad + width] = image
    return padded


@pytest.mark.parametrize(("shape", "pad"), [((32, 32), 4), ((5, 9), 2), ((6, 6), 0), ((3, 3), 8)])
def test_crop_is_a_slice_of_the_padded_image_and_every_offset_is_drawn(shape, pad):
    image = np.random.default_rng(0).integers(10, 256, (*shape, 3), dtype=np.uint8)
    padded = padded_reference(image, pad)
    windows = np.lib.stride_tricks.sliding_window_view(padded, image.shape)[:, :, 0]
    windows = windows.reshape(-1, *image.shape)
    crops = [pad_and_crop(image, pad, FILL, np.random.default_rng(seed)) for seed in range(40 * len(windows))]
    drawn = {crop.tobytes() for crop in crops}
    assert drawn == {window.tobytes() for window in windows}
    assert {(crop.shape, crop.dtype) for crop in crops} == {(image.shape, image.dtype)}


def test_crop_takes_its_offset_from_the_generator():
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    down, right = np.random.default_rng(5).integers(-4, 4, size=2, endpoint=True) + 4
    expected = padded_reference(image, 4)[down : down + 32, right : right + 32]
    np.testing.assert_array_equal(pad_and_crop(image, 4, FILL, np.random.default_rng(5)), expected)


def test_crop_leaves_its_argument_alone():
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    before = image.copy()
    pad_and_crop(image, 3, FILL, np.random.default_rng(0))
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize(("change", "axis"), [(vertical_flip, 0), (flip, 1)])
def test_flip_mirrors_exactly_and_about_half_of_the_time(change, axis):
    image = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    mirror = np.stack([image.take(line, axis) for line in reversed(range(image.shape[axis]))], axis)
    rng = np.random.default_rng(1)
    results = [change(image, rng) for _ in range(1000)]
    mirrored = sum(np.array_equal(result, mirror) for result in results)
    assert mirrored + sum(np.array_equal(result, image) for result in results) == 1000
    assert 430 < mirrored < 570  # 4.4 standard deviations


@pytest.mark.parametrize(("change", "axis"), [(vertical_flip, 0), (flip, 1)])
def test_flip_is_keras(change, axis):
    image = noise(6, 7, 3)
    mirrored = keras.ops.convert_to_numpy(keras.ops.flip(image, axis=axis))
    assert {change(image, np.random.default_rng(seed)).tobytes() for seed in range(20)} == {
        image.tobytes(),
        mirrored.tobytes(),
    }


@pytest.mark.parametrize(("degrees", "quarters"), [(0, 0), (90, 1), (180, 2)])
def test_a_rotation_by_quarters_is_exact(degrees, quarters):
    image = noise(8, 8, 3)
    np.testing.assert_array_equal(rotate(image, degrees, FILL, Highest()), np.rot90(image, quarters))


def test_a_rotation_is_bilinear_about_the_centre_and_empty_corners_have_the_colour():
    down, right = np.mgrid[:41, :41]
    image = np.stack([2 * down + 3 * right, 205 - 2 * down - 3 * right, np.full_like(down, 90)], axis=2)
    result = rotate(image.astype(np.uint8), 30, FILL, Highest())
    assert (result[[0, 0, -1, -1], [0, -1, 0, -1]] == FILL).all()
    down, right = down - 20, right - 20
    cosine, sine = math.cos(math.pi / 6), math.sin(math.pi / 6)
    plane = 100 + 2 * (cosine * down + sine * right) + 3 * (cosine * right - sine * down)  # against the clock
    inside = np.hypot(down, right) < 19
    expected = np.stack([plane, 205 - plane, np.full_like(plane, 90)], axis=2)
    assert np.abs(result - expected)[inside].max() <= 1  # nearest neighbours differ by more than 2


def test_rotations_are_uniform_to_both_sides():
    dot = np.zeros((201, 201, 3), np.uint8)
    dot[99:102, 179:182] = 255  # 80 pixels to the right of the centre
    down, right = np.mgrid[-100:101, -100:101]

    def angle(image):
        light = image[..., 0].astype(float)
        return math.degrees(math.atan2(-np.vdot(light, down), np.vdot(light, right)))

    angles = drawn(lambda rng: angle(rotate(dot, 40, (0, 0, 0), rng)), 400)
    assert min(angles) < -39
    assert max(angles) > 39
    assert largest_gap(angles, lambda degrees: np.clip((degrees + 40) / 80, 0, 1)) < 1.95


def sized_aspects(aspect):
    """How probable a lower one is: uniform in 3/4..4/3 half of the time, the inverse of such a one otherwise."""
    return ((aspect - 3 / 4) + (4 / 3 - 1 / aspect)) / 2 / (4 / 3 - 3 / 4)


def resized_aspects(aspect):
    return math.log(aspect / (3 / 4)) / math.log((4 / 3) / (3 / 4))


@pytest.mark.parametrize(
    ("choose", "aspects"), [(random_sized_box, sized_aspects), (random_resized_box, resized_aspects)]
)
def test_area_aspect_and_place_have_their_distributions(choose, aspects):
    width, height, low, high = 50_000, 40_000, 0.08, 0.4  # large: rounding is small. 0.4: nearly all fit at once
    boxes = np.array(drawn(lambda rng: choose(width, height, (low, high), rng), 5000))
    sides = boxes[:, 2:] - boxes[:, :2]
    areas = sides.prod(1) / (width * height)
    assert largest_gap(areas, lambda area: (area - low) / (high - low)) < 1.95
    assert largest_gap(sides[:, 0] / sides[:, 1], aspects) < 1.95
    places = boxes[:, :2] / ([width, height] - sides)
    assert places.min() >= 0
    assert places.max() <= 1
    for place in places.T:
        assert largest_gap(place, lambda part: part) < 1.95


@pytest.mark.parametrize("choose", BOXES)
@pytest.mark.parametrize("size", [(500, 375), (32, 32), (7, 5), (3, 4), (2, 1), (1, 1), (1, 1000), (1000, 1)])
def test_boxes_are_whole_numbers_inside_the_image_and_not_empty(choose, size):
    for box in drawn(lambda rng: choose(*size, (0.08, 1), rng), 300):
        assert [type(side) for side in box] == [int] * 4
        assert 0 <= box[0] < box[2] <= size[0]
        assert 0 <= box[1] < box[3] <= size[1]


@pytest.mark.parametrize("choose", BOXES)
def test_the_place_reaches_all_four_edges(choose):
    boxes = np.array(drawn(lambda rng: choose(12, 9, (0.3, 0.6), rng), 1000))
    assert boxes.min(0)[:2].tolist() == [0, 0]
    assert boxes.max(0)[2:].tolist() == [12, 9]


@pytest.mark.parametrize(
    ("choose", "size", "box"),
    [
        (random_sized_box, (1000, 10), (495, 0, 505, 10)),  # the square of the shorter side
        (random_sized_box, (10, 1000), (0, 495, 10, 505)),
        (random_resized_box, (1000, 12), (492, 0, 508, 12)),  # 4 to 3
        (random_resized_box, (12, 1000), (0, 492, 12, 508)),
    ],
)
def test_a_long_image_gives_its_centre(choose, size, box):
    assert set(drawn(lambda rng: choose(*size, (0.5, 1), rng), 20)) == {box}


def test_a_square_image_of_which_all_is_asked_may_come_whole():
    assert random_resized_box(1, 1, (1, 1), np.random.default_rng(0)) == (0, 0, 1, 1)
    assert (0, 0, 64, 64) in drawn(lambda rng: random_resized_box(64, 64, (1, 1), rng), 200)
