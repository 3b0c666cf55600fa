"""What all changes of one image have in common: shape, seed, and an argument left alone."""

import numpy as np
import pytest

from resnext.images.blurring import random_blur
from resnext.images.colours import color_jitter, lighting, random_greyscale, shift_hue
from resnext.images.crops import flip, pad_and_crop, rotate, vertical_flip
from resnext.images.erasing import random_erase
from resnext.images.policies import rand_augment, trivial_augment
from support.draws import FILL, drawn, noise

pytestmark = pytest.mark.once

OF_ONE_IMAGE = {
    "pad_and_crop": lambda image, rng: pad_and_crop(image, 3, FILL, rng),
    "flip": flip,
    "vertical_flip": vertical_flip,
    "rotate": lambda image, rng: rotate(image, 30, FILL, rng),
    "color_jitter": lambda image, rng: color_jitter(image, 0.4, rng),
    "shift_hue": lambda image, rng: shift_hue(image, 0.5, rng),
    "lighting": lambda image, rng: lighting(image, 0.1, rng),
    "random_greyscale": lambda image, rng: random_greyscale(image, 0.5, rng),
    "random_blur": lambda image, rng: random_blur(image, 0.5, rng),
    "rand_augment": lambda image, rng: rand_augment(image, 7, FILL, rng),
    "trivial_augment": lambda image, rng: trivial_augment(image, FILL, rng),
    "random_erase": lambda image, rng: random_erase(image, 0.5, FILL, rng),
}


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
