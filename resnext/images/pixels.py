"""Images in memory: arrays and Pillow images as uint8 (height, width, channels)."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from resnext.errors import ArgumentError
from resnext.images.decode import read_image, to_rgb
from resnext.images.preprocessing import MAX_CHANNELS


def as_pixels(image: Any) -> np.ndarray:
    """Return an image as uint8 (height, width, channels): an array, a Pillow image, a path, or a Hugging Face row.

    An array keeps its channels, which `with_channels` turns into those of a network; a Pillow image is turned upright
    and converted to sRGB, as a file is.

    Raises:
        ArgumentError: the image is of another kind, or has other values or channels.
        ImageError: a path, or the content of a file, can't be read.

    >>> as_pixels(np.zeros((4, 6), np.uint8)).shape
    (4, 6, 1)
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
    if array.ndim != 3 or array.shape[-1] > MAX_CHANNELS or not array.size:
        raise ArgumentError(
            f"an image must have the shape (height, width, channels) with 1 to {MAX_CHANNELS} channels, or "
            f"(height, width). Received: {array.shape}"
        )
    return array


def scaled_to_bytes(images: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return images of one array as uint8 (images, height, width, channels), and a line on what was converted.

    Floating-point values from 0 to 1 are multiplied by 255, and those from 0 to 255 are rounded.

    Raises:
        ArgumentError: other values or shapes.
    """
    notes: tuple[str, ...] = ()
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[-1] > MAX_CHANNELS or not images.size:
        raise ArgumentError(
            f"an array of images must have the shape (images, height, width, channels) with 1 to {MAX_CHANNELS} "
            f"channels, or (images, height, width). Received: {images.shape}"
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
    return images, notes
