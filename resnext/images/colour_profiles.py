"""Colour profiles: the meaning of a photo's numbers, converted to sRGB, on which networks are trained.

Phones write Display P3, some cameras Adobe RGB, where the same colour has different numbers. Training libraries ignore
that; browsers and photo viewers do not.
"""

from __future__ import annotations

import functools
import io

import numpy as np
from PIL import Image, ImageCms

MAX_PROFILE = 4_000_000  # bytes: those of printing presses take 2,000,000
MODES = ("RGB", "RGBA", "L", "CMYK")  # for which Pillow converts colours
ROUNDING = 2  # levels of 255
NOCACHE = 0x0040  # of Little CMS: with its cache of the last colour, two threads must not share a transform


def to_srgb(image: Image.Image) -> Image.Image:
    """Return the image in sRGB if its profile differs; ignore a damaged profile.

    Args:
        image: image whose `info` may have an "icc_profile".

    Returns:
        The image itself, or a new one in RGB, or RGBA if it has transparency.
    """
    profile = image.info.get("icc_profile")
    if not isinstance(profile, bytes) or not 0 < len(profile) <= MAX_PROFILE:
        return image
    if image.mode == "P":
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    colours = image.getchannel("L") if image.mode == "LA" else image
    if colours.mode not in MODES:
        return image
    target = "RGBA" if colours.mode == "RGBA" else "RGB"
    transform = _transform(profile, colours.mode, target)
    if transform is None:
        return image
    transparency = image.info.get("transparency")
    converted = transform.apply(colours, Image.new(target, image.size))
    if image.mode == "LA":
        converted.putalpha(image.getchannel("A"))
    elif transparency is not None and image.mode == "L":  # a transparent level, in a PNG
        mask = image.point(lambda level: 0 if level == transparency else 255)
        converted.putalpha(mask)
    return converted


@functools.lru_cache(maxsize=64)
def _transform(profile: bytes, mode: str, target: str) -> ImageCms.ImageCmsTransform | None:
    """Return the transform to sRGB; None if the profile is sRGB, damaged, or for other kinds of images."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(
            source, ImageCms.createProfile("sRGB"), mode, target, flags=ImageCms.Flags(NOCACHE)
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    return None if mode != "CMYK" and _is_identity(transform, mode, target) else transform


def _is_identity(transform: ImageCms.ImageCmsTransform, mode: str, target: str) -> bool:
    """Return whether it changes colours by less than rounding: profiles' descriptions are unreliable."""
    levels = np.arange(0, 256, 51, dtype=np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, 36, 3)
    sample = Image.fromarray(colours).convert(mode)
    converted = transform.apply(sample, Image.new(target, sample.size)).convert("RGB")
    change = np.asarray(converted, np.int16) - np.asarray(sample.convert("RGB"), np.int16)
    return bool(np.abs(change).max() <= ROUNDING)
