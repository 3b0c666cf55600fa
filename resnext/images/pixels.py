"""Images in memory: arrays and Pillow images as uint8 (height, width, 3)."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from resnext.errors import ArgumentError
from resnext.images.decode import read_image, to_rgb


def as_pixels(image: Any) -> np.ndarray:
    """Return an image as uint8 (height, width, 3): an array, a Pillow image, a path, or a row of a Hugging Face column.

    One channel is repeated, four are colours and transparency, which is laid on white; a Pillow image is turned upright
    and converted to sRGB, as a file is.

    Raises:
        ArgumentError: the image is of another kind, or has other values or channels.
        ImageError: a path, or the content of a file, can't be read.

    >>> as_pixels(np.zeros((4, 6), np.uint8)).shape
    (4, 6, 3)
    """
    if isinstance(image, Image.Image):
        return np.asarray(to_rgb(ImageOps.exif_transpose(image)))
    if isinstance(image, str | Path):
        return read_image(image)
    if isinstance(image, Mapping) and image.get("bytes"):
        return read_image(io.BytesIO(image["bytes"]))
    if isinstance(image, Mapping) and image.get("path"):
        return read_image(image["path"])
    return _pixels_of_array(image if isinstance(image, np.ndarray) else np.asarray(image))


def _pixels_of_array(array: np.ndarray) -> np.ndarray:
    if array.dtype != np.uint8:
        raise ArgumentError(
            f"an image must be uint8, from 0 to 255. Received: {array.dtype} of shape {array.shape}. Convert it: "
            "values from 0 to 1 become (255 * values).round().astype('uint8')"
        )
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[-1] not in (1, 3, 4) or not array.size:
        raise ArgumentError(
            "an image must have the shape (height, width, channels) with 1, 3 or 4 channels, or (height, width). "
            f"Received: {array.shape}"
        )
    if array.shape[-1] == 3:
        return array
    return array.repeat(3, axis=-1) if array.shape[-1] == 1 else np.asarray(to_rgb(Image.fromarray(array)))


def scaled_to_bytes(images: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return images of one array as uint8 (images, height, width, 3), and a line on what was converted.

    Floating-point values from 0 to 1 are multiplied by 255, and those from 0 to 255 are rounded.

    Raises:
        ArgumentError: other values or shapes.
    """
    notes: tuple[str, ...] = ()
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or not images.size:
        raise ArgumentError(
            "an array of images must have the shape (images, height, width, channels) with 1 or 3 channels, or "
            f"(images, height, width). Received: {images.shape}"
        )
    if images.dtype != np.uint8:
        lowest, highest = float(images.min()), float(images.max())
        if not 0 <= lowest <= highest <= 255:  # NaN fails as well
            raise ArgumentError(
                f"images must have values from 0 to 255, or from 0 to 1. Received: {images.dtype} from {lowest:g} to "
                f"{highest:g}"
            )
        is_share = images.dtype.kind == "f" and highest <= 1
        how = "from 0 to 1, multiplied by 255" if is_share else "from 0 to 255, rounded"
        notes = (f"images: {images.dtype} {how}",)
        images = np.rint(images * np.float32(255) if is_share else images).astype(np.uint8)
    return images.repeat(3, axis=-1) if images.shape[-1] == 1 else images, notes
