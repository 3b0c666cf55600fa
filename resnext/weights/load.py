"""Load weights strictly: every layout that `layouts` knows, or a list of what does not fit."""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from resnext.errors import WeightsError, printable
from resnext.images.preprocessing import Preprocessing
from resnext.variants.naming import get_variant
from resnext.variants.variant import Variant
from resnext.weights.assign import assign_weight, variables_by_name, weight_shapes
from resnext.weights.hub import find_file, say_licence
from resnext.weights.layouts import (
    COUNTER,
    OURS,
    QUBVEL,
    QUBVEL_IMAGES,
    Layout,
    Location,
    Shape,
    Shapes,
    find_variant,
    layout_of_file,
    locate,
    qubvel_normalisation,
    their_shape,
)
from resnext.weights.published import PublishedWeights, published_weights
from resnext.weights.readers import FLOATS, Tensors, open_tensors
from resnext.weights.save import UNTRACED

if TYPE_CHECKING:
    import keras

HEAD = ("predictions/kernel", "predictions/bias")
MAX_ODDS = 1_000  # tensors that an error lists


def load_weights(model: keras.Model, source: str | Path) -> None:
    """Read weights into a network of the same variant, in any equal form, from a file, `hf:OWNER/NAME` or a tag.

    Raises:
        WeightsError: the source can't be read, or its tensors are not exactly the network's. A tensor that only the
            file has is listed with `+`, one that only the network has with `-`; nothing is loaded then. A network
            without a head takes a file with one.
    """
    with open_checked(source, weight_shapes(model), getattr(model, "variant", None)) as weights:
        assign(model, weights)


class Checked(NamedTuple):
    """Weights in an open file that fit a network."""

    value: Callable[[str], np.ndarray | None]  # of a weight by our name; None for one that stays as it was made
    preprocessing: Preprocessing | None  # of images for these weights; None where nobody has said
    notes: list[str]  # what was let through


@contextlib.contextmanager
def open_checked(
    source: str | Path, expected: Shapes, variant: Variant | None, new_head: bool = False
) -> Iterator[Checked]:
    """Open weights for a network with such names and shapes, and stop at whatever does not fit.

    Args:
        source: as in `load_weights`.
        expected: our names and shapes.
        variant: what the network is, if that is known.
        new_head: a head of another size is left out, and that is said.
    """
    with opened(source) as file:
        found, wanted = dict(file.found), dict(expected)
        for name in counters(expected):
            found.pop(name, None)
        notes = [*_leave_head(file.path, found, wanted, new_head), *_adapt_stem(file.path, found, wanted)]
        check_fit(file.path, file.layout, found, wanted)
        check_floats(file, found)
        _check_same_function(file, variant)
        yield Checked(lambda name: file.value(found[name]) if name in wanted else None, file.preprocessing(), notes)


def assign(model: keras.Model, weights: Checked) -> None:
    """Give a network its weights, one at a time: a large network is never there twice. Say what was let through."""
    for name, variables in variables_by_name(model).items():
        value = weights.value(name)
        if value is not None:
            assign_weight(name, variables, value)
    if hasattr(model, "arguments"):
        preprocessing = weights.preprocessing
        model.arguments["preprocessing"] = None if preprocessing is None else preprocessing.to_json()
    for note in weights.notes:
        warnings.warn(note, stacklevel=3)


class Opened(NamedTuple):
    """A file of weights, and what is known of it."""

    path: Path
    tensors: Tensors
    layout: Layout
    found: dict[str, Location]
    known: PublishedWeights | None

    def value(self, place: Location) -> np.ndarray:
        # In one piece: safetensors writes the memory of an array as it lies.
        return np.asarray(place.build(*(self.tensors.read(name) for name in place.names)), order="C")

    def facts(self) -> dict[str, Any]:
        """Of the UNTRACED ones those that are known: by the tag, by the file's own words, or by its layout."""
        if self.known:
            variant = get_variant(self.known.variant)
            return {fact: getattr(variant, fact) for fact in UNTRACED}
        if self.layout is OURS:
            return self._own_facts()
        shapes = {name: place.shape for name, place in self.found.items()}
        variant = find_variant(shapes, self.layout)
        return {fact: getattr(variant, fact) for fact in ("shortcut", "stem_pool")} if variant else {}

    def _own_facts(self) -> dict[str, Any]:
        if "network" not in self.tensors.metadata:
            return {}
        try:
            said = json.loads(self.tensors.metadata["network"])
            facts = {fact: said[fact] for fact in UNTRACED if fact in said}
            Variant((1, 1, 1, 1), 1, 1, **facts)  # refuses words that it does not know
        except (ValueError, TypeError, RecursionError) as error:
            raise WeightsError(f"{self.path}: what it says of its network is damaged ({error}).") from error
        return facts

    def preprocessing(self) -> Preprocessing | None:
        """What a file says of the images that its network was trained on, or what is published."""
        names = [f"{QUBVEL_IMAGES}/{part}" for part in ("beta", "moving_mean", "moving_variance")]
        try:
            if self.layout is QUBVEL and all(self.tensors.shapes.get(name) == (3,) for name in names):
                mean, std = qubvel_normalisation(*map(self.tensors.read, names))
                return Preprocessing(224, 256, mean=mean, std=std)
            if self.layout is OURS and "preprocessing" in self.tensors.metadata:
                return Preprocessing.from_json(json.loads(self.tensors.metadata["preprocessing"]))
        except (ValueError, TypeError, RecursionError) as error:
            raise WeightsError(f"{self.path}: what it says of the images is damaged ({error}).") from error
        return self.known.preprocessing if self.known else None


@contextlib.contextmanager
def opened(source: str | Path) -> Iterator[Opened]:
    path, known = find_file(source)
    with open_tensors(path) as tensors:
        prefix = "module." if all(name.startswith("module.") for name in tensors.shapes) else ""  # DataParallel's
        shapes = {name.removeprefix(prefix): shape for name, shape in tensors.shapes.items()}
        layout = layout_of_file(shapes)
        if layout is None:
            some = ", ".join(printable(name, 100) for name in sorted(tensors.shapes)[:3]) or "none"
            raise WeightsError(
                f"{path}: no ResNeXt or ResNet that resnext knows has such tensors: {some}, ... Allowed: the names of "
                "resnext, torchvision, timm, keras-applications or qubvel's classification_models."
            )
        found = locate(shapes, layout)
        found = {ours: place._replace(names=tuple(prefix + n for n in place.names)) for ours, place in found.items()}
        tag = tensors.metadata.get("weights") if layout is OURS else None  # of the published weights that became ours
        if known is None and tag in published_weights():
            known = published_weights()[tag]
            say_licence(known)
        yield Opened(path, tensors, layout, found, known)


def counters(expected: Shapes) -> list[str]:
    """Names of PyTorch's counts of steps, one for each batch norm."""
    return [name.replace("/gamma", f"/{COUNTER}") for name in expected if name.endswith("/gamma")]


def _leave_head(path: Path, found: dict[str, Location], expected: dict[str, Shape], new_head: bool) -> Iterator[str]:
    """Forget the head where the network has none, or, where that is asked for, where it fits none; say what is new."""
    if HEAD[0] not in expected:
        for name in HEAD:
            found.pop(name, None)
    elif new_head and any(name not in found or found[name].shape != expected[name] for name in HEAD):
        classes = expected[HEAD[1]][0]
        shape = found[HEAD[1]].shape if HEAD[1] in found else ()
        given = f"{shape[0]:,} classes" if shape else "no head"
        yield f"{path} has {given}, the network {classes:,}: its head is new, and untrained."
        for name in HEAD:
            found.pop(name, None)
            del expected[name]


def _adapt_stem(path: Path, found: dict[str, Location], expected: dict[str, Shape]) -> Iterator[str]:
    """Make the kernel for colour images fit others: summed for one channel, repeated and scaled down for more.

    As timm does: n channels see the kernel's three in turn, times 3 / n, so that grey images give what they gave.
    """
    name = stem_kernel_name(expected)
    place, wanted = found.get(name), expected[name]
    if place is None or len(place.shape) != 4 or place.shape[2] != 3 or wanted[2] == 3:
        return
    channels = wanted[2]

    def build(*arrays: np.ndarray) -> np.ndarray:
        kernel = place.build(*arrays)
        if channels == 1:
            return kernel.sum(axis=2, keepdims=True)
        repeated = np.tile(kernel, (1, 1, -(-channels // 3), 1))[:, :, :channels]
        return repeated * np.asarray(3 / channels, kernel.dtype)

    height, width, _, filters = place.shape
    found[name] = Location(place.names, (height, width, channels, filters), build)
    yield f"{path} is for 3 input channels, the network has {channels}: its stem is adapted."


def stem_kernel_name(names: Mapping[str, object]) -> str:
    return "stem_1_conv/kernel" if "stem_1_conv/kernel" in names else "stem_conv/kernel"


def check_fit(path: Path, layout: Layout, found: Mapping[str, Location], expected: Shapes) -> None:
    """Stop at any difference, in the file's own words."""

    def given(name):
        place = found[name]
        return f"+ {printable(place.names[0], 100)} {their_shape(place.shape, layout)}"

    def wanted(name):
        theirs = layout.their_name(name)  # ours, where a network like the file's has no such layer
        return f"- {theirs} {expected[name] if theirs == name else their_shape(expected[name], layout)}"

    shared = [name for name in sorted(found.keys() & expected.keys()) if found[name].shape != expected[name]]
    odds = [given(name) for name in sorted(found.keys() - expected.keys())]
    odds += [wanted(name) for name in sorted(expected.keys() - found.keys())]
    odds += [f"{given(name)}\n{wanted(name)}" for name in shared]
    if odds:
        odds[MAX_ODDS:] = [f"... and {len(odds) - MAX_ODDS:,} more"] if len(odds) > MAX_ODDS else []
        if {*shared, *(found.keys() ^ expected.keys())} <= set(HEAD) and HEAD[1] in expected:
            odds.append("For a new head on these weights give the number of classes: ResNeXt(..., classes=...).")
        lines = "\n".join(odds)
        raise WeightsError(f"{path}: these tensors are not the network's (+ the file's, - the network's):\n{lines}")


def check_floats(file: Opened, found: Mapping[str, Location]) -> None:
    names = sorted(name for place in found.values() for name in place.names)
    others = [f"{name} {file.tensors.dtypes[name]}" for name in names if file.tensors.dtypes[name] not in FLOATS]
    if others:
        raise WeightsError(f"{file.path}: weights are {', '.join(FLOATS)}; these are not: {', '.join(others)}")


def _check_same_function(file: Opened, variant: Variant | None) -> None:
    """Stop where equal shapes hide another function."""
    for fact, value in file.facts().items():
        if variant and getattr(variant, fact) != value:
            raise WeightsError(
                f"{file.path}: these weights are for {fact}={value!r}, "
                f"the network {variant.name} has {getattr(variant, fact)!r}."
            )
