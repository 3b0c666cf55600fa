import numpy as np
import pytest

from resnext.augment import flip, pad_and_crop

pytestmark = pytest.mark.once

FILL = (7, 8, 9)


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


def test_flip_mirrors_exactly_and_about_half_of_the_time():
    image = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    mirror = np.stack([image[:, column] for column in reversed(range(5))], axis=1)
    rng = np.random.default_rng(1)
    results = [flip(image, rng) for _ in range(1000)]
    mirrored = sum(np.array_equal(result, mirror) for result in results)
    assert mirrored + sum(np.array_equal(result, image) for result in results) == 1000
    assert 430 < mirrored < 570  # 4.4 standard deviations
