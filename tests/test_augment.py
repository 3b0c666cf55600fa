import math
from itertools import permutations, product

import keras
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from resnext.images.colours import color_jitter, lighting
from resnext.images.crops import flip, pad_and_crop, random_resized_box, random_sized_box
from resnext.images.erasing import random_erase
from resnext.images.mixing import cutmix, mixup
from resnext.images.policies import rand_augment, trivial_augment

pytestmark = pytest.mark.once

FILL = (7, 8, 9)
OF_ONE_IMAGE = {
    "pad_and_crop": lambda image, rng: pad_and_crop(image, 3, FILL, rng),
    "flip": flip,
    "color_jitter": lambda image, rng: color_jitter(image, 0.4, rng),
    "lighting": lambda image, rng: lighting(image, 0.1, rng),
    "rand_augment": lambda image, rng: rand_augment(image, 7, FILL, rng),
    "trivial_augment": lambda image, rng: trivial_augment(image, FILL, rng),
    "random_erase": lambda image, rng: random_erase(image, 0.5, FILL, rng),
}
BOXES = [random_sized_box, random_resized_box]


def noise(*shape, seed=0, low=0, high=256):
    return np.random.default_rng(seed).integers(low, high, shape, dtype=np.uint8)


def drawn(function, count, seed=0):
    """`function(rng)`, `count` times from one generator."""
    rng = np.random.default_rng(seed)
    return [function(rng) for _ in range(count)]


def largest_gap(values, distribution):
    """Kolmogorov and Smirnov's: below 1.95 / sqrt(n) in all but 1 of 1,000 samples of the distribution."""
    expected = np.array([distribution(value) for value in sorted(values)])
    return np.abs(np.arange(len(values)) / len(values) - expected).max() * math.sqrt(len(values))


# All of one image


@pytest.mark.parametrize("name", OF_ONE_IMAGE)
@pytest.mark.parametrize("shape", [(17, 12), (1, 1), (1, 40), (40, 1)])
def test_every_change_keeps_the_shape_and_leaves_its_argument_alone(name, shape):
    image = noise(*shape, 3)
    before = image.copy()
    image.flags.writeable = False  # as np.asarray of a Pillow image is
    results = drawn(lambda rng: OF_ONE_IMAGE[name](image, rng), 100)
    assert {(result.shape, result.dtype) for result in results} == {(before.shape, before.dtype)}
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("name", OF_ONE_IMAGE)
def test_a_seed_gives_one_result_and_others_others(name):
    image = noise(16, 16, 3)
    first, again = (drawn(lambda rng: OF_ONE_IMAGE[name](image, rng).tobytes(), 40, seed=5) for _ in range(2))
    assert first == again
    assert first != drawn(lambda rng: OF_ONE_IMAGE[name](image, rng).tobytes(), 40, seed=6)
    assert len(set(first)) > 1


@pytest.mark.parametrize("name", OF_ONE_IMAGE)
def test_every_change_takes_views(name):
    image = noise(16, 32, 3)[:, ::2][::-1]
    of_view, of_copy = (OF_ONE_IMAGE[name](x, np.random.default_rng(1)) for x in (image, image.copy()))
    np.testing.assert_array_equal(of_view, of_copy)


# Padding and flipping


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


def test_flip_is_keras():
    image = noise(6, 7, 3)
    mirrored = keras.ops.convert_to_numpy(keras.ops.flip(image, axis=1))
    assert {flip(image, np.random.default_rng(seed)).tobytes() for seed in range(20)} == {
        image.tobytes(),
        mirrored.tobytes(),
    }


# Boxes


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


# Colours

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


# Policies

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


# Erasing


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


# Mixing


def batch(count, height=16, width=24, classes=4):
    targets = np.random.default_rng(1).random((count, classes), dtype=np.float32)
    return noise(count, height, width, 3), targets / targets.sum(1, keepdims=True)


@pytest.mark.parametrize("mix", [mixup, cutmix])
@pytest.mark.parametrize("count", [1, 2, 7, 8])
def test_mixing_returns_new_arrays_of_the_same_kind_by_the_seed(mix, count):
    images, targets = batch(count)
    before = images.copy(), targets.copy()
    first, again, other = (mix(images, targets, 1.0, np.random.default_rng(seed)) for seed in (3, 3, 4))
    for kept, given, result, second in zip(before, (images, targets), first, again, strict=True):
        np.testing.assert_array_equal(given, kept)
        assert not np.shares_memory(given, result)
        assert (result.shape, result.dtype) == (given.shape, given.dtype)
        np.testing.assert_array_equal(result, second)
    assert count == 1 or (first[1] != other[1]).any()
    np.testing.assert_allclose(first[1].sum(1), 1, rtol=1e-6)
    if count % 2:
        middle = count // 2
        np.testing.assert_array_equal(first[0][middle], images[middle])  # its own partner


def share_of(targets, mixed):
    """The share of the image itself: the targets are mixed with those of the reversed batch."""
    difference = (targets - targets[::-1]).astype(float)
    return np.vdot(difference, mixed - targets[::-1]) / np.vdot(difference, difference)


def test_mixup_blends_images_and_targets_by_one_share():
    images, targets = batch(6)
    for mixed, mixed_targets in drawn(lambda rng: mixup(images, targets, 1.0, rng), 20):
        share = share_of(targets, mixed_targets)
        expected = share * targets + (1 - share) * targets[::-1]
        np.testing.assert_allclose(mixed_targets, expected, atol=1e-6)
        pixels = share * images + (1 - share) * images[::-1].astype(float)
        assert np.abs(mixed - pixels).max() < 0.501


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_shares_have_the_beta_distribution(alpha):
    images, targets = batch(2, 1, 1)
    shares = [share_of(targets, t) for _, t in drawn(lambda rng: mixup(images, targets, alpha, rng), 3000)]
    assert abs(np.mean(shares) - 0.5) < 0.03
    assert abs(np.var(shares) - 1 / 4 / (2 * alpha + 1)) < 0.01


def test_cutmix_pastes_one_rectangle_and_counts_its_pixels():
    images, targets = batch(6)
    images = images // 2 + np.array([0, 128] * 3, np.uint8).reshape(6, 1, 1, 1)  # partners differ in every pixel
    for mixed, mixed_targets in drawn(lambda rng: cutmix(images, targets, 1.0, rng), 100):
        pasted = (mixed != images).any((0, 3))
        np.testing.assert_array_equal(mixed, np.where(pasted[None, :, :, None], images[::-1], images))
        rows, columns = pasted.any(1), pasted.any(0)
        assert (pasted == np.outer(rows, columns)).all()
        assert max(np.count_nonzero(np.diff(line.astype(int), prepend=0)) for line in (rows, columns)) <= 2  # no gap
        assert abs(share_of(targets, mixed_targets) - (1 - pasted.mean())) < 1e-5
        np.testing.assert_allclose(mixed_targets.sum(1), 1, rtol=1e-6)


def test_cutmix_centres_are_everywhere_and_areas_as_drawn():
    images = np.stack([np.zeros((40, 60, 3), np.uint8), np.ones((40, 60, 3), np.uint8)])
    targets = np.eye(2, dtype=np.float32)
    pasted = np.stack([x[0, ..., 0] for x, _ in drawn(lambda rng: cutmix(images, targets, 1.0, rng), 3000)])
    # A pixel is pasted where the centre is near enough: written out, over areas 1 - U(0, 1) and all centres
    expected = np.zeros((40, 60))
    for area in (np.arange(100) + 0.5) / 100:
        near = []
        for length in (40, 60):
            half = int(length * math.sqrt(area)) // 2
            distance = np.arange(length)[:, None] - np.arange(length)
            near.append(((distance >= -half) & (distance < half)).mean(1))
        expected += np.outer(*near) / 100
    assert np.abs(pasted.mean(0) - expected).max() < 0.045  # 5 standard deviations


@pytest.mark.parametrize("mix", [mixup, cutmix])
def test_an_alpha_of_zero_is_refused(mix):
    with pytest.raises(ValueError, match="a <= 0"):
        mix(*batch(2), 0.0, np.random.default_rng(0))
