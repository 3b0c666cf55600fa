"""Several views of an image: the ten crops of the Torch code."""

import numpy as np
import pytest

from resnext.errors import ArgumentError
from resnext.images.preprocessing import Preprocessing
from resnext.images.views import Views

pytestmark = pytest.mark.once


def test_ten_crops_are_those_of_the_torch_code():
    """Centre, four corners, and their mirror images, of the image whose shorter side is resized."""
    image = np.arange(12 * 16 * 3, dtype=np.uint8).reshape(12, 16, 3)
    views = Views(Preprocessing(8, 12), crops=10).apply(image)
    corners = [image[2:10, 4:12], image[:8, :8], image[:8, 8:], image[4:, :8], image[4:, 8:]]
    expected = [*corners, *(corner[:, ::-1] for corner in corners)]
    assert (views == np.stack(expected)).all()
    two = Views(Preprocessing(8, 12), flip=True).apply(image)
    assert (two == np.stack([expected[0], expected[5]])).all()
    with pytest.raises(ArgumentError, match=r"`crops` must be 1 or 10. Received: 5"):
        Views(Preprocessing(8, 12), crops=5)
