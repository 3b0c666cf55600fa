"""Work on three channels at a time, for Pillow, whose images with colours have three."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def by_threes(image: np.ndarray, work: Callable[[np.ndarray, list[int]], np.ndarray]) -> np.ndarray:
    """Return what `work` makes of each three channels of an image, put together.

    Args:
        image: uint8 (H, W, channels).
        work: function from uint8 (H, W, 3), and the places of these three in `image`, to uint8 (..., 3). The last three
            may repeat a channel.

    >>> by_threes(np.zeros((2, 2, 5), np.uint8), lambda three, places: three + np.uint8(places)).tolist()[0][0]
    [0, 1, 2, 3, 4]
    """
    count = image.shape[-1]
    if count == 3:
        return work(image, [0, 1, 2])
    places = np.arange(-(-count // 3) * 3).clip(max=count - 1).reshape(-1, 3).tolist()
    parts = [work(np.ascontiguousarray(image[..., three]), three) for three in places]
    return np.concatenate(parts, axis=-1)[..., :count]
