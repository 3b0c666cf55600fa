"""Several views of one image, whose logits are averaged: mirror images, and the ten crops of the Torch code."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from resnext.errors import ArgumentError
from resnext.images.preprocessing import Preprocessing, centre_crop
from resnext.images.streams import Openable

TEN = 10


@dataclass(frozen=True)
class Views:
    """Views of an image, all of the same size.

    Args:
        preprocessing: how an image is prepared up to its crop.
        crops: 1 for the centre; 10 for the centre, the four corners and the mirror images of these five, as in the
            original code (https://github.com/facebookarchive/fb.resnet.torch, `datasets/transforms.lua`).
        flip: whether to add the mirror image of the centre; the ten crops already have it.

    Raises:
        ArgumentError: the number of crops is neither 1 nor 10.

    >>> Views(Preprocessing(224, 256), crops=10).apply(np.zeros((300, 400, 3), np.uint8)).shape
    (10, 224, 224, 3)
    """

    preprocessing: Preprocessing
    crops: int = 1
    flip: bool = False

    def __post_init__(self) -> None:
        if self.crops not in (1, TEN):
            raise ArgumentError(f"`crops` must be 1 or 10. Received: {self.crops}")

    def __len__(self) -> int:
        return TEN if self.crops == TEN else 1 + self.flip

    def apply(self, image: np.ndarray | Image.Image) -> np.ndarray:
        """Return `image`, uint8 (H, W, channels) or a Pillow image, as uint8 (views, size, size, channels)."""
        if isinstance(image, np.ndarray):
            return self.preprocessing.by_threes(image, lambda part, three: replace(self, preprocessing=part)._of(three))
        return self._of(image)

    def _of(self, image: np.ndarray | Image.Image) -> np.ndarray:
        whole = self.preprocessing.resized(image)
        views = self._crops(whole) + (self._crops(ImageOps.mirror(whole)) if len(self) > 1 else [])
        return np.stack([np.asarray(view) for view in views])

    def load(self, path: str | Path | Openable) -> np.ndarray:
        """Return the image file at `path` as uint8 (views, size, size, channels). Raises ImageError."""
        return self.apply(self.preprocessing.read(path))

    def _crops(self, whole: Image.Image) -> list[Image.Image]:
        """Return the centre crop and, of ten views, the four corners."""
        size = self.preprocessing.size
        right, lower = whole.width - size, whole.height - size
        corners = [(0, 0), (right, 0), (0, lower), (right, lower)] if self.crops == TEN else []
        return [centre_crop(whole, size, size), *(whole.crop((x, y, x + size, y + size)) for x, y in corners)]
