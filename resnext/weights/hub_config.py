"""The config.json that timm keeps beside a model.safetensors: what the network is, and how its images are prepared."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any, NamedTuple

from resnext.errors import WeightsError, one_line
from resnext.images.preprocessing import MEAN, STD, Fit, Preprocessing
from resnext.variants.naming import get_variant
from resnext.variants.variant import Variant

HUB_CONFIG = "config.json"
HUB_FILE = "model.safetensors"  # timm's repositories have it
HUB_FILES = (HUB_FILE, f"{HUB_FILE}.index.json", "pytorch_model.bin")  # weights in a folder of Hugging Face's
FITS: dict[str, Fit] = {"center": "crop", "squash": "squash", "border": "pad"}  # of timm's crop_mode
MAX_CONFIG = 8_000_000  # bytes: 21,841 class names take 1,000,000


class HubConfig(NamedTuple):
    """What a configuration says; None for what it does not say, or what resnext does not have."""

    variant: Variant | None
    preprocessing: Preprocessing | None
    class_names: tuple[str, ...] | None = None


def read_hub_config(weights: Path) -> HubConfig:
    """Read the configuration beside a file of weights, if there is one of timm's.

    Raises:
        WeightsError: it is damaged.
    """
    path = weights.with_name(HUB_CONFIG)
    try:
        if not path.is_file() or path.stat().st_size > MAX_CONFIG:
            return HubConfig(None, None)
        document = json.loads(path.read_bytes())
        if not isinstance(document, dict) or "architecture" not in document:  # that of another library, or of a run
            return HubConfig(None, None)
        names, own = document.get("label_names"), document.get("resnext")  # of `resnext export --format bundle`
        if own and "sha256" in own and own["sha256"] != _sha256(weights):
            raise ValueError(f"it describes another {weights.name}")
        return HubConfig(
            Variant.from_json(own["variant"]) if own else _variant(document["architecture"]),
            _preprocessing(document.get("pretrained_cfg")),
            checked_names(names) if names else None,
        )
    except (OSError, ValueError, TypeError, KeyError, IndexError, OverflowError, RecursionError) as error:
        raise WeightsError(f"{path}: damaged ({one_line(error)}). Restore it, or move {weights.name} away.") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checked_names(names: Any) -> tuple[str, ...]:
    """Return names of classes as a tuple. Raises ValueError unless they are different words."""
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise ValueError("class names must be a list of words")
    if len(set(names)) < len(names):
        raise ValueError("two class names are the same")
    return tuple(names)


def _variant(architecture: Any) -> Variant | None:
    try:
        return get_variant(architecture)
    except ValueError:
        return None


def _preprocessing(document: Any) -> Preprocessing | None:
    """Return the preprocessing that timm would build: the shorter side becomes size / crop_pct, rounded down."""
    if not document:
        return None
    size = document["input_size"][-1]
    return Preprocessing(
        size=size,
        resize=math.floor(size / document.get("crop_pct", 0.875)),
        interpolation=document.get("interpolation", "bicubic"),
        mean=tuple(document.get("mean", MEAN)),
        std=tuple(document.get("std", STD)),
        fit=FITS.get(document.get("crop_mode", "center"), "crop"),
    )
