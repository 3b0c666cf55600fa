"""Images as people look at them: whole, and small."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from resnext.data.batches import name_of_image
from resnext.data.examples import Examples
from resnext.images.bands import as_shown
from resnext.images.preprocessing import Preprocessing

LONGEST = 320  # pixels of the longer side


def photo_of(examples: Examples, preprocessing: Preprocessing, index: int) -> tuple[str, np.ndarray]:
    """Return the name of an image, and the whole of it, uint8 (height, width, 3).

    Args:
        examples: images.
        preprocessing: how the network gets them; only their channels count.
        index: index of the image.

    Raises:
        ImageError: the image can't be read.
    """
    image, name = examples.images[index], name_of_image(examples, index)
    if not isinstance(image, np.ndarray):
        name = Path(str(image)).name
        size = min(preprocessing.size, LONGEST // 2)
        image = np.asarray(replace(preprocessing, size=size, resize=LONGEST // 2).read(image))
    small = Image.fromarray(np.ascontiguousarray(as_shown(image)))
    small.thumbnail((LONGEST, LONGEST))
    return name, np.asarray(small)
