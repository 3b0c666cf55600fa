"""The choice of a network for a set of images about which nothing else is known."""

from typing import NamedTuple

from resnext.variants.names import get_variant
from resnext.variants.variant import Variant

SMALL, LARGE = "resnext14_8x4d", "resnext50_32x4d"
GRID = 32  # pixels that one value of the last stage stands for
# Largest sides in pixels by the number of images: the fewer images, the less is learned from details.
SMALLEST, MOST = 64, ((2_000, 64), (10_000, 128))
LARGE_FROM, LARGE_SIDE = 160, 224  # pixels: least side of images for the large network, and their size for it


class Choice(NamedTuple):
    """A network, the side of its images in pixels, and the reason in words if neither was passed."""

    variant: Variant
    image_size: int
    reason: tuple[str, ...] = ()


def choose_network(images: int, side: int, image_size: int | None = None) -> Choice:
    """Return a network that can be trained from scratch on these images, and the size to resize them to.

    Args:
        images: number of training images.
        side: median of their shorter sides in pixels.
        image_size: requested size; None chooses one.

    >>> choice = choose_network(200, 100)
    >>> choice.variant.name, choice.image_size
    ('resnext14_8x4d', 64)
    """
    limit, largest = next(((below, most) for below, most in MOST if images < below), (None, LARGE_SIDE))
    is_large = largest == LARGE_SIDE and (image_size or side) >= LARGE_FROM
    size = LARGE_SIDE if is_large else min(max(side // GRID * GRID, SMALLEST), largest)
    name, size = LARGE if is_large else SMALL, image_size or size
    many = f"fewer than {limit:,}" if limit else f"{MOST[-1][0]:,} or more"
    reason = f"chosen: {name} at {size} pixels, for {many} training images of {side} pixels (median shorter side)"
    return Choice(get_variant(name), size, (reason,))
