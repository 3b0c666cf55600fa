"""Several views of an image: the ten crops of the Torch code."""

import numpy as np
import pytest

from resnext.errors import ArgumentError
from resnext.images.preprocessing import Preprocessing
from resnext.images.views import Views

pytestmark = pytest.mark.once


def test_ten_crops_are_those_of_the_torch_code():
    """Centre, four corners, and their mirror images, of the image whose shorter side is resized."""
    image = np.arange(12 * 15 * 3, dtype=np.uint8).reshape(12, 15, 3)
    views = Views(Preprocessing(8, 12), crops=10).apply(image)
    places = [(2, 4), (0, 0), (0, 7), (4, 0), (4, 7)]
    expected = [each[y : y + 8, x : x + 8] for each in (image, image[:, ::-1]) for y, x in places]
    assert (views == np.stack(expected)).all()
    two = Views(Preprocessing(8, 12), flip=True).apply(image)
    assert (two == np.stack([expected[0], expected[5]])).all()
    with pytest.raises(ArgumentError, match=r"`crops` must be 1 or 10. Received: 5"):
        Views(Preprocessing(8, 12), crops=5)
