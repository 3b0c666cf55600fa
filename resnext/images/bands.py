"""Images of any number of channels: files of several pages or bands, and arrays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from PIL import Image, ImageOps

from resnext.errors import ArgumentError, counted
from resnext.images.decode import MAX_PIXELS, as_bytes, decoded, opened, to_rgb
from resnext.images.streams import Openable

BANDS = {"1": 1, "L": 1, "LA": 2, "RGB": 3, "YCbCr": 3, "RGBA": 4, "RGBX": 4, "CMYK": 4}  # of 8 bits or fewer, by mode


def read_bands(source: str | Path | BinaryIO | Openable, count: int) -> np.ndarray:
    """Return an image file as uint8 (H, W, count): the bands of all pages of a TIFF, or of one image, in their order.

    The pages of a TIFF are its channels, as microscopes write them; a page may itself have several, such as the four of
    RGBA. 16-bit pages are scaled to 8 bits. Nothing is laid on white or converted between colours.

    Raises:
        ImageError: `read_picture` would refuse the source, its pages differ in size, or it has other bands.
    """
    with opened(source) as image:
        return bands_of(image, count)


def bands_of(image: Image.Image, count: int) -> np.ndarray:
    """Return the bands of a Pillow image, as `read_bands` does. Raises ValueError or OSError."""
    return np.concatenate([np.atleast_3d(_page(page)) for page in _pages(image, count)], axis=-1)


def check_bands(source: str | Path | BinaryIO | Openable, count: int) -> None:
    """Raise the ImageError of `read_bands` if the headers alone show that the file can't be read."""
    with opened(source) as image:
        for _ in _pages(image, count):
            pass


def pages_of(source: str | Path | BinaryIO | Openable) -> int:
    """Return how many pages a TIFF has, or 1 for other files. Raises ImageError."""
    with opened(source) as image:
        return getattr(image, "n_frames", 1) if image.format == "TIFF" else 1


def _pages(image: Image.Image, count: int) -> Iterator[Image.Image]:
    """Yield the pages, which are one image that turns them. Raises ValueError if they don't have `count` bands."""
    size, bands, page = image.size, 0, 0
    if size[0] * size[1] * count > 3 * MAX_PIXELS:
        raise ValueError(f"more than {3 * MAX_PIXELS:,} values in {count} channels; save it smaller")
    while _turned(image, page):
        if image.size != size:
            raise ValueError(
                f"its pages have different sizes, {size[0]} x {size[1]} and {image.width} x {image.height}"
            )
        bands += _bands_of(image)
        if bands > count:
            raise ValueError(f"more channels than the {count} that the network takes")
        yield image
        page += 1
    if bands != count:
        raise ValueError(f"{counted(bands, 'channel')}; the network takes {count}")


def _turned(image: Image.Image, page: int) -> bool:
    """Turn to a page; return whether it is there. Only a TIFF has several: the frames of others are an animation."""
    if page and image.format != "TIFF":
        return False
    try:
        image.seek(page)
    except EOFError:
        return False
    return True


def _bands_of(image: Image.Image) -> int:
    if image.mode.startswith("I"):
        return 1
    if image.mode not in BANDS:
        raise ValueError(f"pixels of the kind {image.mode}, which are no channels; save it with 8 or 16 bits a channel")
    return BANDS[image.mode]


def _page(image: Image.Image) -> np.ndarray:
    """Return the page to which an image is turned, upright, uint8 (H, W) or (H, W, bands)."""
    page, _ = decoded(image)
    page = ImageOps.exif_transpose(page)
    return as_bytes(page) if page.mode.startswith("I") else np.asarray(page.convert("L") if page.mode == "1" else page)


def with_channels(image: np.ndarray, channels: Literal["rgb", "grey"] | int) -> np.ndarray:
    """Return an image, uint8 (H, W, any), with the channels of a network: 3 for colours, or as many as it takes.

    For colours, one channel is repeated, and four are colours and transparency, which is laid on white.

    Args:
        image: uint8 (H, W, any).
        channels: as in `Preprocessing`.

    Raises:
        ArgumentError: the image has other channels, or is none.

    >>> with_channels(np.zeros((4, 6, 1), np.uint8), "rgb").shape
    (4, 6, 3)
    """
    if image.dtype != np.uint8 or image.ndim != 3:
        raise ArgumentError(
            f"got an array of {image.dtype} {image.shape}; an image is uint8 (H, W, channels); convert it first"
        )
    count = image.shape[-1]
    if count == (channels if isinstance(channels, int) else 3):
        return image
    if isinstance(channels, int):
        raise ArgumentError(f"an image of shape {image.shape} has {count} channels; the network takes {channels}")
    if count == 1:
        return image.repeat(3, axis=-1)
    if count == 4:
        return np.asarray(to_rgb(Image.fromarray(image)))
    shape = f"an image of shape {image.shape} has {count} channels, the last number; the network takes 3"
    if image.shape[0] in (1, 3, 4) and count > 4:
        raise ArgumentError(f"{shape}. If its channels are the first number, move them: numpy.moveaxis(image, 0, -1)")
    raise ArgumentError(f"{shape}. A network for them is trained by channels={count}")


def as_shown(image: np.ndarray) -> np.ndarray:
    """Return uint8 (..., channels) as people see it, uint8 (..., 3): its first three channels, or its first, in grey.

    >>> as_shown(np.zeros((4, 6, 5), np.uint8)).shape
    (4, 6, 3)
    """
    return image[..., :3] if image.shape[-1] >= 3 else image[..., :1].repeat(3, axis=-1)
