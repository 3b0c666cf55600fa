"""Images that are made to cost much time."""

import io

import numpy as np
from PIL import Image

PIXELS = np.random.default_rng(0).integers(0, 255, (40, 48, 3), np.uint8)

PHOTO = Image.fromarray(PIXELS)


def saved(image: Image.Image = PHOTO, kind: str = "PNG", **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def many_scans(scans: int = 500, side: int = 2000) -> bytes:
    """A progressive JPEG whose last scan comes again and again: each takes as long as the whole image."""
    content = saved(Image.new("RGB", (side, side), (200, 40, 40)), kind="JPEG", progressive=True)
    last = content[content.rindex(b"\xff\xda") : -2]
    return content[:-2] + last * (scans - content.count(b"\xff\xda")) + content[-2:]
