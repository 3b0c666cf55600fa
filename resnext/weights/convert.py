"""Rewrite a file of weights under another library's names and shapes. No backend is needed."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import NamedTuple

from resnext.errors import ArgumentError, OutputError
from resnext.files import user_path
from resnext.variants.names import as_variant, get_variant
from resnext.variants.variant import Variant
from resnext.weights.foreign_names import facts_of, to_torch
from resnext.weights.load import check_fit, check_floats, check_network, check_same_function
from resnext.weights.readers import TORCH_SUFFIXES
from resnext.weights.save import check_file, file_metadata, write_weights
from resnext.weights.weights_file import counters, open_weights

logger = logging.getLogger(__name__)


class Converted(NamedTuple):
    """The result of `convert`."""

    path: Path
    variant: Variant
    classes: int | None  # None for a file without a head
    tensors: int

    @property
    def is_named(self) -> bool:
        """Whether the variant has a name, which not every number of blocks has."""
        try:
            return get_variant(self.variant.name).blocks == self.variant.blocks
        except ValueError:
            return False


def convert(
    source: str | Path,
    out: str | Path,
    to: str = "resnext",
    *,
    variant: str | Variant | None = None,
    key: str | None = None,
) -> Converted:
    """Write weights to another file under different names; no backend is needed, and values stay unchanged.

    Only the moving variances of old Keras files change, by the difference of the batch norms' epsilons.

    Args:
        source: file, folder, `hf:OWNER/NAME` or tag, as in `ResNeXt(weights=)`.
        out: file to write: safetensors, or PyTorch's format if it ends with .pth, .pt or .bin.
        to: "resnext", "torchvision" or "timm".
        variant: network of the weights; by default the plain one with these shapes. Shapes do not reveal anti-aliasing
            and activation, so networks such as `resnetaa50d` must be named.
        key: which of several state_dicts in a PyTorch file to convert, such as "state_dict_ema".

    Raises:
        ArgumentError: the target is unknown, or does not have the network.
        WeightsError: the source cannot be read, is not a network of this library, or is not of the variant.

    >>> convert("resnext50_32x4d-1a0047aa.pth", "ours.safetensors").variant.name  # doctest: +SKIP
    'resnext50_32x4d'
    """
    if to not in TARGETS:
        raise ArgumentError(f"`to` must be one of {', '.join(TARGETS)}. Received: {to!r}")
    out = user_path(out)
    check_file(out, (".safetensors",) if to == "resnext" else (".safetensors", *TORCH_SUFFIXES), to)
    if out.exists():  # it may be the source, a part of it, or a file of another run
        raise OutputError(f"{out}: exists already. Choose another --out, or remove it.")
    named = as_variant(variant) if variant else None
    with open_weights(source, named, key) as file:
        found, variant = file.found, named or file.known_variant()
        expected = file.shapes_of(variant)
        expected |= {name: () for name in counters(expected) if name in found}
        check_network(file, found, expected, variant)
        check_fit(file, found, expected)
        check_floats(file, {name: location for name, location in found.items() if expected[name]})
        check_same_function(file, variant)
        _check_target(variant, to)
        weights = {name: file.value(location) for name, location in found.items()}
        for note in file.notes:
            logger.warning(note)
        facts = facts_of(named) if named else file.facts()
        metadata = file_metadata(facts, file.preprocessing(), file.known, file.class_names(), file.labels.several)
        classes = file.classes
    if to == "resnext":
        write_weights(out, weights, metadata)
    else:
        write_weights(out, to_torch(weights, variant), {"format": "pt"})
    return Converted(out, variant, classes, len(weights))


def fits_timm(variant: Variant) -> bool:
    """Return whether timm has such a network: an ImageNet stem of its widths, shortcut B or D, its own legacy SE."""
    first, *deep = variant.stem_channels
    if variant.stem != "imagenet" or variant.sliced or variant.lineage:
        return False
    has_stem = (first == 64) if not deep else (deep[1] == 2 * deep[0] and first in (deep[0], 3 * (deep[0] // 4)))
    if variant.stem_pool == "ceil":  # timm's legacy networks are bottlenecks with SE, and nothing else
        plain = not deep and variant.shortcut == "B"
        return has_stem and plain and variant.block == "bottleneck" and variant.attention == "se"
    return has_stem and variant.shortcut in ("B", "D")


def fits_torchvision(variant: Variant) -> bool:
    """Return whether torchvision has such a network: the paper's, without later additions."""
    plain = (variant.shortcut, variant.attention, variant.anti_aliasing, variant.activation, variant.stem_pool)
    one_stem = len(variant.stem_channels) == 1
    return fits_timm(variant) and one_stem and plain == ("B", None, None, "relu", "padded")


TARGETS = {"resnext": lambda variant: True, "torchvision": fits_torchvision, "timm": fits_timm}


def _check_target(variant: Variant, to: str) -> None:
    """Refuse a network that the other library lacks: it could not load the file, or would compute another function."""
    if TARGETS[to](variant):
        return
    widths = " and ".join(map(str, variant.stem_channels))
    options = [f"a stem for {'CIFAR' if variant.stem == 'cifar' else 'ImageNet'} of {widths} channels"]
    options += [f"shortcut {variant.shortcut}", variant.attention, variant.anti_aliasing and "anti-aliasing"]
    options += [variant.activation, "sliced paths" if variant.sliced else None]
    options += [*variant.departures.in_words()][:1] if variant.lineage else []
    facts = ", ".join(str(option) for option in options if option)
    allowed = " or ".join(f"--to {target}" for target, fits in TARGETS.items() if fits(variant))
    raise ArgumentError(f"{to} has no network like {variant.name}: {facts}. Use {allowed}.")
