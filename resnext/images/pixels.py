"""Images in memory: arrays and Pillow images as uint8 (height, width, channels)."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from resnext.errors import ArgumentError, ImageError, one_line
from resnext.images.bands import bands_of, read_bands
from resnext.images.decode import read_image, to_8_bits, to_rgb
from resnext.images.preprocessing import MAX_CHANNELS, Channels


def as_pixels(image: Any, channels: Channels = "rgb") -> np.ndarray:
    """Return an image as uint8 (height, width, channels): an array, a Pillow image, a path, or a Hugging Face row.

    An array keeps its channels, which `with_channels` turns into those of a network. A Pillow image is turned upright
    and converted to sRGB, as a file is; for a number of channels it is its bands.

    Args:
        image: image of any kind.
        channels: as in `Preprocessing`.

    Raises:
        ArgumentError: the image is of another kind, or has other values or channels.
        ImageError: a path, a Pillow image, or the content of a file, can't be read.

    >>> as_pixels(np.zeros((4, 6), np.uint8)).shape
    (4, 6, 1)
    """
    if isinstance(image, Image.Image):
        try:
            return bands_of(image, channels) if isinstance(channels, int) else _upright_rgb(image)
        except (OSError, ValueError) as error:
            raise ImageError(one_line(error)) from error
    if isinstance(image, str | Path):
        return read_pixels(image, channels)
    if isinstance(image, Mapping) and image.get("bytes"):
        return read_pixels(io.BytesIO(image["bytes"]), channels)
    if isinstance(image, Mapping) and image.get("path"):
        return read_pixels(image["path"], channels)
    if image is None:
        raise ArgumentError("there is no image: None")
    return _pixels_of_array(image if isinstance(image, np.ndarray) else np.asarray(image))


def read_pixels(source: Any, channels: Channels) -> np.ndarray:
    """Return an image file as uint8 (H, W, 3), or as its bands for a network of so many channels. Raises ImageError."""
    return read_bands(source, channels) if isinstance(channels, int) else read_image(source)


def _upright_rgb(image: Image.Image) -> np.ndarray:
    return np.asarray(to_rgb(ImageOps.exif_transpose(image)))


def _pixels_of_array(array: np.ndarray) -> np.ndarray:
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[-1] > MAX_CHANNELS or not array.size:
        raise ArgumentError(
            f"an image must have the shape (height, width, channels) with 1 to {MAX_CHANNELS} channels, or "
            f"(height, width). Received: {array.shape}"
        )
    return array if array.dtype == np.uint8 else in_bytes(array)[0]


def scaled_to_bytes(images: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return images of one array as uint8 (images, height, width, channels), and a line on what was converted.

    Raises:
        ArgumentError: other values than `in_bytes` takes, or other shapes.
    """
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[-1] > MAX_CHANNELS or not images.size:
        raise ArgumentError(
            f"an array of images must have the shape (images, height, width, channels) with 1 to {MAX_CHANNELS} "
            f"channels, or (images, height, width). Received: {images.shape}"
        )
    return (images, ()) if images.dtype == np.uint8 else in_bytes(images)


def in_bytes(values: np.ndarray, highest: float | None = None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return values of any kind as uint8, and a line on what was converted.

    Floating-point values from 0 to 1 are multiplied by 255, and those from 0 to 255 are rounded; uint16 is divided by
    257, as files of 16 bits are.

    Args:
        values: array of any shape.
        highest: the highest value of all images, of which these are some; by default that of `values`.

    Raises:
        ArgumentError: values of another kind, or outside of these ranges.
    """
    if values.dtype.kind not in "fiu":
        raise ArgumentError(f"images must have numbers as values. Received: {values.dtype} of shape {values.shape}")
    lowest, highest = float(values.min()), float(values.max()) if highest is None else highest
    if values.dtype == np.uint16 and highest > 255:
        return to_8_bits(values), ("images: uint16, divided by 257",)
    if not 0 <= lowest <= highest <= 255:  # NaN fails as well
        found = "NaN" if np.isnan(lowest + highest) else f"values from {lowest:g} to {highest:g}"
        raise ArgumentError(
            f"images must have values from 0 to 255, or from 0 to 1, or be uint16. Received: {values.dtype}, {found}"
        )
    is_share = values.dtype.kind == "f" and highest <= 1
    how = "from 0 to 1, multiplied by 255" if is_share else "from 0 to 255, rounded"
    notes = (f"images: {values.dtype} {how}",) if values.dtype.kind == "f" else ()
    return np.rint(values * np.float32(255) if is_share else values).astype(np.uint8), notes


def alike_in_bytes(images: Sequence[Any]) -> tuple[list[Any], tuple[str, ...]]:
    """Return images in memory with the arrays among them as uint8, all by one rule, and lines on what was converted."""
    others = [image for image in images if isinstance(image, np.ndarray) and image.dtype != np.uint8 and image.size]
    if not others:
        return [*images], ()
    highest = max((float(image.max()) for image in others if image.dtype.kind in "fiu"), default=0.0)
    notes: dict[str, None] = {}
    found: list[Any] = []
    for image in images:
        if isinstance(image, np.ndarray) and image.dtype != np.uint8 and image.size:
            with contextlib.suppress(ArgumentError):  # whoever needs the image says what is wrong with it
                image, more = in_bytes(image, highest)
                notes |= dict.fromkeys(more)
        found.append(image)
    return found, tuple(notes)
