"""Colour profiles: colours are those that a viewer shows."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from resnext.images.colour_profiles import to_srgb
from resnext.images.decode import read_image
from support.photos import photo

pytestmark = pytest.mark.once


def swapped() -> bytes:
    """A profile whose red is green, under the name of sRGB: what counts are its numbers."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, green = profile.find(b"rXYZ"), profile.find(b"gXYZ")
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(profile)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_colours_are_those_that_a_viewer_shows(mode):
    image = Image.new("RGB", (8, 8), (200, 30, 30)).convert(mode, palette=Image.Palette.ADAPTIVE)
    for profile, expected in ((swapped(), (30, 200, 30)), (b"rubbish" * 50, (200, 30, 30)), (b"", (200, 30, 30))):
        stream = io.BytesIO()
        image.save(stream, "PNG", icc_profile=profile)
        pixel = read_image(io.BytesIO(stream.getvalue()))[0, 0]
        assert np.abs(pixel.astype(int) - expected).max() <= 2, profile[:10]


def linear_grey() -> bytes:
    """A profile of grey levels that are proportional to the light."""
    xyz = struct.pack(">4s4x3i", b"XYZ ", 63190, 65536, 54061)
    curve = struct.pack(">4s4xIH2x", b"curv", 1, 256)
    tags = struct.pack(">I4sII4sII", 2, b"wtpt", 156, len(xyz), b"kTRC", 156 + len(xyz), len(curve))
    header = struct.pack(">I4s4s4s4s4s12x4s", 156 + len(xyz) + len(curve), b"lcms", b"\x02\x10\0\0", b"mntr", b"GRAY",
                         b"XYZ ", b"acsp")  # fmt: skip
    return header.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061).ljust(60, b"\0") + tags + xyz + curve


@pytest.mark.parametrize("mode", ["L", "LA"])
def test_grey_levels_have_profiles_too(mode):
    image = Image.new(mode, (8, 8), 128 if mode == "L" else (128, 255))
    if mode == "LA":
        image.putpixel((7, 7), (128, 0))
    stream = io.BytesIO()
    image.save(stream, "PNG", icc_profile=linear_grey())
    pixels = read_image(io.BytesIO(stream.getvalue()))
    assert np.abs(pixels[0, 0].astype(int) - 188).max() <= 2  # 128 / 255 of the light
    assert (pixels[7, 7] == (255 if mode == "LA" else pixels[0, 0])).all()


def test_srgb_itself_costs_no_rounding():
    image = photo()
    image.info["icc_profile"] = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert to_srgb(image) is image
