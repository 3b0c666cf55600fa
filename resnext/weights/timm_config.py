"""The config.json with which timm builds a network from a folder: architecture, arguments, classes, preprocessing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from resnext.images.preprocessing import Preprocessing
from resnext.variants.naming import get_variant
from resnext.variants.variant import Variant
from resnext.weights.hub_config import FITS
from resnext.weights.published import published_weights

# By the kind of block and anti-aliasing, which is a class in timm and can't be an argument in a file.
FUNCTIONS = {
    ("bottleneck", False): "resnext50_32x4d",
    ("bottleneck", True): "resnetaa50",
    ("basic", False): "resnet18",
    ("basic", True): "resnetaa34d",
}
CROP_MODES = {fit: mode for mode, fit in FITS.items()}


def timm_config(variant: Variant, classes: Sequence[str], preprocessing: Preprocessing, facts: dict[str, Any]) -> dict:
    """Return the document of config.json.

    Args:
        variant: network that timm has (`fits_timm`).
        classes: names of the classes.
        preprocessing: how images are prepared.
        facts: what else is to be said, under "resnext"; timm ignores it.
    """
    architecture, arguments = timm_architecture(variant)
    size = preprocessing.size
    last = variant.stages[-1]
    return {
        "architecture": architecture,
        "num_classes": len(classes),
        "num_features": last.channels,
        "global_pool": "avg",
        "label_names": list(classes),
        **({"model_args": arguments} if arguments else {}),
        "pretrained_cfg": {
            "custom_load": False,
            "input_size": [3, size, size],
            "fixed_input_size": False,
            "interpolation": preprocessing.interpolation,
            "crop_pct": crop_share(preprocessing),
            "crop_mode": CROP_MODES[preprocessing.fit],
            "mean": list(preprocessing.mean),
            "std": list(preprocessing.std),
            "num_classes": len(classes),
            "pool_size": [math.ceil(size / last.output_stride)] * 2,
            "first_conv": "conv1" if len(variant.stem_channels) == 1 else "conv1.0",
            "classifier": "fc",
        },
        "resnext": facts,
    }


def timm_architecture(variant: Variant) -> tuple[str, dict[str, Any]]:
    """Return the name of timm's function, and the arguments that make its network ours.

    >>> from resnext.variants.naming import get_variant
    >>> timm_architecture(get_variant("resnext14_8x4d"))
    ('resnext50_32x4d', {'layers': [1, 1, 1, 1], 'cardinality': 8, 'base_width': 4})
    """
    names = {entry.variant for entry in published_weights().values()}
    if variant.name in names and variant == get_variant(variant.name):
        return variant.name, {}
    arguments: dict[str, Any] = {"layers": list(variant.blocks)}
    if variant.block == "bottleneck":
        arguments |= {"cardinality": variant.cardinality, "base_width": variant.bottleneck_width}
    if len(variant.stem_channels) == 3:
        first, width, _ = variant.stem_channels
        arguments |= {"stem_width": width, "stem_type": "deep" if first == width else "deep_tiered"}
    if variant.shortcut == "D":
        arguments["avg_down"] = True
    if variant.attention:
        arguments["block_args"] = {"attn_layer": variant.attention}
    if variant.activation != "relu":
        arguments["act_layer"] = variant.activation
    return FUNCTIONS[variant.block, variant.anti_aliasing is not None], arguments


def crop_share(preprocessing: Preprocessing) -> float:
    """Return timm's crop_pct, from which it computes the shorter side as size / crop_pct, rounded down."""
    size, resize = preprocessing.size, preprocessing.resize
    share = round(size / resize, 6)
    return share if math.floor(size / share) == resize else size / (resize + 0.5)
