"""HEIC, the format of phones' photos: read by pillow-heif if the extra `heic` is installed."""

from __future__ import annotations

import functools
import importlib
import importlib.util

HEIF_SUFFIXES = (".heic", ".heif")
HAS_HEIF = importlib.util.find_spec("pillow_heif") is not None
HOW = "pip install 'resnext[heic]' to read HEIC"


@functools.cache
def heif_formats() -> tuple[str, ...]:
    """Register and return the formats that pillow-heif adds to Pillow; none if it is not installed."""
    if not HAS_HEIF:
        return ()
    importlib.import_module("pillow_heif").register_heif_opener(thumbnails=False)
    return ("HEIF",)
