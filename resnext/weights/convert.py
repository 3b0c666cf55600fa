"""Rewrite a file of weights under another library's names and shapes. No backend is needed."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import NamedTuple

from resnext.errors import ArgumentError, WeightsError
from resnext.variants.layer_table import variant_shapes
from resnext.variants.naming import get_variant
from resnext.variants.variant import Variant
from resnext.weights.layouts import (
    find_variant,
    to_torch,
)
from resnext.weights.load import HEAD, Opened, check_fit, check_floats, counters, opened, stem_kernel_name
from resnext.weights.save import TORCH_SUFFIXES, file_metadata, write_weights

TARGETS = ("resnext", "torchvision", "timm")


class Converted(NamedTuple):
    """What `convert` has written."""

    path: Path
    variant: Variant
    classes: int | None  # None for a file without a head
    tensors: int

    @property
    def is_named(self) -> bool:
        """Whether the variant's name stands for it: not every number of blocks has one."""
        try:
            return get_variant(self.variant.name).blocks == self.variant.blocks
        except ValueError:
            return False


def convert(source: str | Path, out: str | Path, to: str = "resnext") -> Converted:
    """Write weights to another file, with other names: no backend is needed, and values stay as they are.

    But for old Keras files: their moving variances get the difference of the batch norms' epsilons.

    Args:
        source: a file, `hf:OWNER/NAME` or a tag, as in `ResNeXt(weights=)`.
        out: the file to write: safetensors, or PyTorch's own format if it ends with .pth, .pt or .bin.
        to: "resnext", "torchvision" or "timm".

    Raises:
        ValueError: an unknown target, or a network that it does not have.
        WeightsError: the source can't be read, or holds no network that this library has.

    >>> convert("resnext50_32x4d-1a0047aa.pth", "ours.safetensors").variant.name  # doctest: +SKIP
    'resnext50_32x4d'
    """
    if to not in TARGETS:
        raise ArgumentError(f"`to` must be one of {', '.join(TARGETS)}. Received: {to!r}")
    _check_out(Path(out), to)
    with opened(source) as file:
        found = file.found
        variant = _variant_in(file)
        stem = found.get(stem_kernel_name(found))
        channels = stem.shape[2] if stem and len(stem.shape) == 4 else 3
        classes = found[HEAD[1]].shape[0] if HEAD[1] in found and found[HEAD[1]].shape else None
        expected = variant_shapes(variant, channels, classes)
        check_fit(file.path, file.layout, found, expected | {n: () for n in counters(expected) if n in found})
        check_floats(file, {name: found[name] for name in expected})
        _check_target(variant, to)
        weights = {name: file.value(place) for name, place in found.items()}
        ours = to == "resnext"
        metadata = file_metadata(file.facts(), file.preprocessing(), file.known) if ours else {"format": "pt"}
    write_weights(Path(out), weights if ours else to_torch(weights, variant), metadata)
    return Converted(Path(out), variant, classes, len(weights))


def _variant_in(file: Opened) -> Variant:
    variant = find_variant({name: place.shape for name, place in file.found.items()}, file.layout)
    if variant is None:
        raise WeightsError(f"{file.path}: the shapes of its tensors are those of no network that resnext knows.")
    return dataclasses.replace(variant, **file.facts())


def _check_target(variant: Variant, to: str) -> None:
    """Stop where torchvision or timm have no such network: nobody could load the file, or it would compute else."""
    bottleneck_se = variant.block == "bottleneck" and variant.attention == "se"
    first, *deep = variant.stem_channels
    timm_stem = (first == 64) if not deep else (deep[1] == 2 * deep[0] and first in (deep[0], 3 * (deep[0] // 4)))
    timm = variant.stem == "imagenet" and variant.shortcut in ("B", "D") and timm_stem
    legacy = variant.stem_pool == "ceil"
    plain = (variant.shortcut, variant.attention, variant.anti_aliasing, variant.activation) == (
        "B",
        None,
        None,
        "relu",
    )
    has = {
        "resnext": True,
        "timm": timm and (not legacy or (bottleneck_se and not deep and variant.shortcut == "B")),
        "torchvision": timm and plain and not deep and not legacy,
    }
    if not has[to]:
        words = (variant.stem, variant.stem_channels, f"shortcut {variant.shortcut}", variant.attention,
                 variant.anti_aliasing and "anti-aliasing", variant.activation)  # fmt: skip
        options = ", ".join(str(word) for word in words if word)
        allowed = ", ".join(f"--to {target}" for target, possible in has.items() if possible)
        raise ArgumentError(f"{to} has no {variant.name} ({options}). Allowed: {allowed}.")


def _check_out(out: Path, to: str) -> None:
    """Stop before the work where the file could not be written, or would be another than its name says."""
    suffixes = (".safetensors",) if to == "resnext" else (".safetensors", *TORCH_SUFFIXES)
    if out.suffix not in suffixes:
        raise ArgumentError(f"{out}: weights for {to} are written as {', '.join(suffixes)}. Give such a name.")
    if out.is_dir() or not out.parent.is_dir():
        raise ArgumentError(
            f"{out}: {'a folder' if out.is_dir() else 'its folder does not exist'}. Give a file in a folder."
        )
