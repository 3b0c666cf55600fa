"""timm's config.json beside a model.safetensors: reading and writing network, classes and preprocessing."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from resnext.checksums import CHANGED, digest_of
from resnext.errors import WeightsError, one_line
from resnext.images.preprocessing import MEAN, STD, Fit, Preprocessing
from resnext.variants.names import get_variant
from resnext.variants.variant import Variant
from resnext.weights.published import published_weights

HUB_CONFIG = "config.json"
HUB_FILE = "model.safetensors"  # the file in timm's repositories
HUB_FILES = (HUB_FILE, f"{HUB_FILE}.index.json", "pytorch_model.bin")  # weights in a Hugging Face folder
FITS: dict[str, Fit] = {"center": "crop", "squash": "squash", "border": "pad"}  # of timm's crop_mode
MAX_CONFIG = 8_000_000  # bytes: 21,841 class names take 1,000,000
# By block and anti-aliasing, which is a class in timm and can't be an argument in a file.
FUNCTIONS = {
    ("bottleneck", False): "resnext50_32x4d",
    ("bottleneck", True): "resnetaa50",
    ("basic", False): "resnet18",
    ("basic", True): "resnetaa34d",
}
CROP_MODES = {fit: mode for mode, fit in FITS.items()}


class LabelsOfImage(NamedTuple):
    """Whether an image may have any number of classes, and the probability from which it has each of them."""

    several: bool = False
    thresholds: tuple[float, ...] = ()

    @classmethod
    def of(cls, document: Mapping[str, Any], classes: int) -> LabelsOfImage:
        """Return what a document says under "labels" and "thresholds". Raises ValueError if it is damaged."""
        labels, thresholds = document.get("labels"), document.get("thresholds")
        if labels not in (None, "one", "several"):
            raise ValueError(f"labels {labels!r}")
        if thresholds is None:
            return cls(labels == "several")
        is_fitting = isinstance(thresholds, list) and len(thresholds) == classes
        if not is_fitting or not all(type(each) in (int, float) and 0 <= each <= 1 for each in thresholds):
            raise ValueError(f"thresholds that are not {classes} numbers from 0 to 1")
        return cls(labels == "several", tuple(thresholds) if labels == "several" else ())


class TimmConfig(NamedTuple):
    """The contents of a configuration; None for anything absent or unknown to resnext."""

    variant: Variant | None
    preprocessing: Preprocessing | None
    class_names: tuple[str, ...] | None = None
    labels: LabelsOfImage = LabelsOfImage()


def read_timm_config(weights: Path) -> TimmConfig:
    """Read timm's configuration beside a weights file, if there is one.

    Raises:
        WeightsError: the configuration is damaged.
    """
    path = weights.with_name(HUB_CONFIG)
    try:
        if not path.is_file() or path.stat().st_size > MAX_CONFIG:
            return TimmConfig(None, None)
        document = json.loads(path.read_bytes())
        ours_or_timms = isinstance(document, dict) and ("architecture" in document or "resnext" in document)
        if not ours_or_timms:  # of another library, or of a run
            return TimmConfig(None, None)
        names, own = document.get("label_names"), document.get("resnext")  # of `resnext export --to bundle`
        if own and "sha256" in own and own["sha256"] != _sha256(weights):
            raise ValueError(f"it describes another {weights.name}")
        if own and own.pop("description_sha256", None) not in (None, digest_of(document)):
            raise ValueError(CHANGED)
        return TimmConfig(
            Variant.from_json(own["variant"]) if own else _variant(document["architecture"]),
            _preprocessing(document.get("pretrained_cfg")),
            checked_names(names) if names else None,
            LabelsOfImage.of(own, len(names)) if own and names else LabelsOfImage(),
        )
    except (OSError, ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError) as error:
        raise WeightsError(f"{path}: damaged ({one_line(error)}). Restore it, or move {weights.name} away.") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checked_names(names: Any) -> tuple[str, ...]:
    """Return class names as a tuple. Raises ValueError unless they are distinct strings."""
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


def timm_config(variant: Variant, classes: Sequence[str], preprocessing: Preprocessing, facts: dict[str, Any]) -> dict:
    """Return the document of config.json.

    Args:
        variant: network that timm has (`fits_timm`).
        classes: names of the classes.
        preprocessing: how images are prepared.
        facts: further facts, stored under "resnext"; timm ignores them.
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
    """Return the name of timm's function, and the arguments that make its network equal to resnext's.

    >>> from resnext.variants.names import get_variant
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
