"""An open weights file: its library, the places of its weights, and the facts known about it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from resnext.errors import WeightsError, printable
from resnext.images.preprocessing import Preprocessing
from resnext.variants.layer_table import variant_shapes
from resnext.variants.names import get_variant
from resnext.variants.variant import Variant
from resnext.weights.foreign_names import (
    COUNTER,
    HEAD,
    OURS,
    QUBVEL,
    QUBVEL_IMAGES,
    UNTRACED,
    Layout,
    Location,
    Shape,
    Shapes,
    facts_of,
    find_variant,
    layout_of_file,
    locate,
    qubvel_normalisation,
    stem_kernel_name,
)
from resnext.weights.heads import belongs_to_head, head_names
from resnext.weights.hub import find_file, report_licence
from resnext.weights.published import PublishedWeights, published_weights
from resnext.weights.readers import Tensors, open_tensors
from resnext.weights.timm_config import LabelsOfImage, TimmConfig, checked_names, read_timm_config


class WeightsFile(NamedTuple):
    """A weights file, and the facts known about it."""

    path: Path
    tensors: Tensors
    layout: Layout
    found: dict[str, Location]  # of each weight, by resnext's name
    known: PublishedWeights | None
    config: TimmConfig  # of its folder
    notes: list[str]  # names left out and prefixes removed

    def value(self, location: Location) -> np.ndarray:
        """Read one of resnext's weights. Raises WeightsError if it has values that are not finite."""
        # Contiguous: safetensors writes the memory of an array in its storage order.
        value = np.asarray(location.build(*(self.tensors.read(name) for name in location.names)), order="C")
        if not np.isfinite(value).all():
            raise WeightsError(
                f"{printable(self.path)}: {printable(location.names[0])} has values that are not finite, so every "
                "answer would be wrong. Pass weights from before the training diverged."
            )
        return value

    @property
    def shapes(self) -> dict[str, Shape]:
        """The shape of each weight, by resnext's name."""
        return {name: location.shape for name, location in self.found.items()}

    @property
    def classes(self) -> int | None:
        """The number of classes of its head; None without one."""
        head = self.found.get(HEAD[0])
        return head.shape[-1] if head and head.shape else None

    @property
    def channels(self) -> int:
        """The channels of its images."""
        stem = self.found.get(stem_kernel_name(self.found))
        return stem.shape[2] if stem and len(stem.shape) == 4 else 3

    def shapes_of(self, variant: Variant, channels: int | None = None) -> dict[str, Shape]:
        """Return names and shapes of the weights of a network for its classes and its images, or other channels."""
        images = self.preprocessing() if variant.departures.keeps_positions else None
        return variant_shapes(variant, channels or self.channels, self.classes, images and (images.size, images.size))

    def variant(self) -> Variant | None:
        """Return the network in resnext that fits, if any; shapes do not reveal everything (`facts` has more)."""
        variant = find_variant(self.shapes, self.layout)
        return variant and dataclasses.replace(variant, **self.facts())

    def facts(self) -> dict[str, Any]:
        """Return the known values of the fields in UNTRACED: as published, or from metadata or the layout."""
        named = get_variant(self.known.variant) if self.known else self.config.variant
        if named and (self.known or self._has_shapes_of(named)):
            return facts_of(named)
        if self.layout is OURS:
            return self._own_facts()
        variant = find_variant(self.shapes, self.layout)
        return {fact: getattr(variant, fact) for fact in ("shortcut", "stem_pool")} if variant else {}

    def known_variant(self) -> Variant:
        """Return the network as `variant` does. Raises WeightsError if there is none."""
        variant = self.variant()
        if variant is None:
            raise WeightsError(f"{self.path}: its tensors' shapes match no network in resnext.")
        return variant

    def _has_shapes_of(self, variant: Variant) -> bool:
        """Return whether the weights are those of a network; a configuration beside them may describe another one."""
        return self.shapes_of(variant).items() <= self.shapes.items()

    def _own_facts(self) -> dict[str, Any]:
        if "network" not in self.tensors.metadata:
            return {}
        try:
            document = json.loads(self.tensors.metadata["network"])
            facts = {fact: document[fact] for fact in UNTRACED if fact in document}
            Variant((1, 1, 1, 1), 1, 1, **facts)  # refuses unknown words
        except (ValueError, TypeError, RecursionError) as error:
            raise WeightsError(f"{self.path}: its description of the network is damaged ({error}).") from error
        return facts

    def preprocessing(self) -> Preprocessing | None:
        """Return how images are prepared for these weights, from the file or as published; None if unknown."""
        names = [f"{QUBVEL_IMAGES}/{part}" for part in ("beta", "moving_mean", "moving_variance")]
        try:
            if self.layout is QUBVEL and all(self.tensors.shapes.get(name) == (3,) for name in names):
                mean, std = qubvel_normalisation(*map(self.tensors.read, names))
                return Preprocessing(224, 256, mean=mean, std=std)
            if self.layout is OURS and "preprocessing" in self.tensors.metadata:
                return Preprocessing.from_json(json.loads(self.tensors.metadata["preprocessing"]))
        except (ValueError, TypeError, RecursionError) as error:
            raise WeightsError(f"{self.path}: its description of the images is damaged ({error}).") from error
        return self.config.preprocessing or (self.known.preprocessing if self.known else None)

    @property
    def labels(self) -> LabelsOfImage:
        """Whether its network gives an image any number of classes, and their thresholds if they are known."""
        is_told = self.layout is OURS and self.tensors.metadata.get("labels") == "several"
        return LabelsOfImage(several=True) if is_told else self.config.labels

    def class_names(self) -> tuple[str, ...] | None:
        """Return the names of its classes, from the file or a configuration beside it; None if they are unknown."""
        names = self.config.class_names
        try:
            if self.layout is OURS and "classes" in self.tensors.metadata:
                names = checked_names(json.loads(self.tensors.metadata["classes"]))
        except (ValueError, RecursionError) as error:
            raise WeightsError(f"{self.path}: its class names are damaged ({error}).") from error
        return names if names and len(names) == self.classes else None


@contextlib.contextmanager
def open_weights(source: str | Path, variant: Variant | None = None, key: str | None = None) -> Iterator[WeightsFile]:
    """Open a file, a folder, `hf:OWNER/NAME` or a tag, and determine its layout.

    Args:
        source: as in `find_file`.
        variant: network that the weights are for; None if that is not known yet.
        key: which of several state_dicts in a PyTorch file to read.

    Raises:
        WeightsError: the source cannot be read or does not contain a network of a known layout.
    """
    path, known = find_file(source, variant)
    with open_tensors(path, key) as tensors:
        prefix, stored = _names_of_network(tensors.shapes)
        shapes = {name: tensors.shapes[stored[name]] for name in stored}
        layout = layout_of_file(shapes)
        if layout is None:
            raise _no_network(path, tensors.shapes)
        head = head_names(path, shapes, layout.their_name("predictions/kernel").removesuffix(".weight"))
        stored = {head.get(name, name): original for name, original in stored.items()}
        found = locate({name: tensors.shapes[original] for name, original in stored.items()}, layout)
        found = {ours: each._replace(names=tuple(stored[name] for name in each.names)) for ours, each in found.items()}
        tag = tensors.metadata.get("weights") if layout is OURS else None  # of published weights that were converted
        if known is None and tag in published_weights():
            known = published_weights()[tag]
            report_licence(known)
        notes = [f"{path}: the prefix {prefix!r} of its names is ignored."] if prefix else []
        notes += [
            f"{path}: {printable(name)} is taken for the weight of its head." for name in head if "weight" in name
        ]
        if tensors.other_keys and key is None:
            others = ", ".join(printable(name, 100) for name in tensors.other_keys[:5])
            notes.append(
                f"{path}: the weights under {tensors.key!r} are used, not those under {others}. To use others, write "
                "them to a separate file: resnext convert ... --key KEY."
            )
        yield WeightsFile(path, tensors, layout, found, known, read_timm_config(path), notes)


def _names_of_network(shapes: Shapes) -> tuple[str, dict[str, str]]:
    """Return the prefix of a network's names, and for each name without it the one in the file.

    A head may lie beside the network, without the prefix.
    """
    prefix, plain = without_prefix(shapes)
    if layout_of_file(plain):
        return prefix, {name: prefix + name for name in plain}
    network = {name: shape for name, shape in shapes.items() if shape and not belongs_to_head(name)}
    prefix = _network_prefix(network, least=len(network)) or ""
    rest = [name for name in shapes if name not in network and shapes[name]]
    return prefix, {name.removeprefix(prefix): name for name in network} | {name: name for name in rest}


def _no_network(path: Path, shapes: Shapes) -> WeightsError:
    """Return the error for names that are not a network's; it lists those that prevent a match."""
    inside = {name: shape for name, shape in shapes.items() if shape}
    prefix = _network_prefix(inside, least=len(inside) // 2 + 1)
    if prefix:
        others = sorted(name for name in inside if not name.startswith(prefix))
        some = ", ".join(printable(name, 100) for name in others[:5]) + (", ..." if len(others) > 5 else "")
        return WeightsError(
            f"{path}: {len(others)} of its {len(shapes)} tensors are not the network's, whose names begin with "
            f"{prefix!r}: {some}. Save the network's tensors alone."
        )
    some = ", ".join(printable(name, 100) for name in sorted(shapes)[:3]) or "none"
    return WeightsError(
        f"{path}: its tensors ({some}, ...) are those of no ResNeXt or ResNet that resnext knows. Allowed: the "
        "names of resnext, torchvision, timm, keras-applications or qubvel's classification_models."
    )


def without_prefix(shapes: Shapes) -> tuple[str, dict[str, Shape]]:
    """Return the prefix that wrappers add to every name, and the names without it.

    DataParallel, torch.compile, Lightning and training scripts add words before the names of a network. Counters stored
    with the weights, such as the `n_averaged` of PyTorch's averaged models, are left out.

    >>> without_prefix({"module.model.bn1.weight": (64,), "n_averaged": ()})
    ('module.model.', {'bn1.weight': (64,)})
    """
    named = {name: shape for name, shape in shapes.items() if shape or "." in name or "/" in name}
    prefix = _network_prefix(named, least=len(named)) or ""
    return prefix, {name.removeprefix(prefix): shape for name, shape in named.items()}


def _network_prefix(shapes: Shapes, least: int) -> str | None:
    """Return the prefix of at least `least` names that a network's names follow; None without one."""
    prefix, left = "", dict(shapes)
    while left and layout_of_file(left) is None:
        words = Counter(name.partition(".")[0] for name in left if "." in name)
        word, count = words.most_common(1)[0] if words else ("", 0)
        if count < least:
            return None
        prefix += f"{word}."
        left = {name.removeprefix(f"{word}."): shape for name, shape in left.items() if name.startswith(f"{word}.")}
    return prefix


def counters(expected: Shapes) -> list[str]:
    """Return the names of PyTorch's counters of steps, one for each batch norm."""
    return [name.replace("/gamma", f"/{COUNTER}") for name in expected if name.endswith("/gamma")]
