"""Weights in and out of files: every layout that `names` knows comes in, ours and PyTorch's go out.

Loaded strictly or not at all. Every form's weights lie as form c has them. There the paths of forms a and b are slices:
of the output channels in the transform, of the input channels in form a's transition.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from resnext.files import write_atomically
from resnext.hub import find_file, say_licence
from resnext.images.preprocessing import Preprocessing
from resnext.names import (
    COUNTER,
    OURS,
    QUBVEL,
    QUBVEL_IMAGES,
    Layout,
    Place,
    Shape,
    Shapes,
    find_variant,
    layout_of_file,
    places,
    qubvel_normalisation,
    their_shape,
    to_torch,
    variant_shapes,
)
from resnext.published import PublishedWeights, published_weights
from resnext.tensors import FLOATS, Tensors, WeightsError, open_tensors, readable
from resnext.variants.naming import get_variant
from resnext.variants.variant import Variant

if TYPE_CHECKING:
    import keras

HEAD = ("predictions/kernel", "predictions/bias")
UNTRACED = ("shortcut", "stem_pool", "anti_aliasing", "activation")  # facts that shapes do not tell, or not all
TORCH_SUFFIXES = (".pth", ".pt", ".bin")
MAX_ODDS = 1_000  # tensors that an error lists
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


def save_weights(model: keras.Model, path: str | Path) -> None:
    """Write the weights to a safetensors file, as form c has them; an old file stays whole until the new one is.

    >>> save_weights(network, "network.safetensors")  # doctest: +SKIP
    """
    _write(Path(path), get_weights(model), _metadata_of(model))


def packed(model: keras.Model) -> bytes:
    """What `save_weights` writes to a safetensors file."""
    return _packed(get_weights(model), _metadata_of(model))


def _packed(weights: Mapping[str, np.ndarray], metadata: dict[str, str]) -> bytes:
    """The same bytes for the same values: safetensors itself writes metadata in an order that it draws anew."""
    from safetensors.numpy import save

    content = save(dict(weights), metadata=metadata)
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    header["__metadata__"] = dict(sorted(metadata.items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text = text.ljust(-(-len(text) // 8) * 8)  # tensors begin at a multiple of eight
    return len(text).to_bytes(8, "little") + text + content[end:]


def _metadata_of(model: keras.Model) -> dict[str, str]:
    variant, preprocessing = getattr(model, "variant", None), getattr(model, "preprocessing", None)
    facts = {fact: getattr(variant, fact) for fact in UNTRACED} if variant else {}
    return _metadata(facts, preprocessing)


def load_weights(model: keras.Model, source: str | Path) -> None:
    """Read weights into a network of the same variant, in any equal form, from a file, `hf:OWNER/NAME` or a tag.

    Raises:
        WeightsError: the source can't be read, or its tensors are not exactly the network's. A tensor that only the
            file has is listed with `+`, one that only the network has with `-`; nothing is loaded then. A network
            without a head takes a file with one.
    """
    with checked(source, weight_shapes(model), getattr(model, "variant", None)) as weights:
        assign(model, weights)


class Checked(NamedTuple):
    """Weights in an open file that fit a network."""

    value: Callable[[str], np.ndarray | None]  # of a weight by our name; None for one that stays as it was made
    preprocessing: Preprocessing | None  # of images for these weights; None where nobody has said
    notes: list[str]  # what was let through


@contextlib.contextmanager
def checked(source: str | Path, expected: Shapes, variant: Variant | None, new_head: bool = False) -> Iterator[Checked]:
    """Open weights for a network with such names and shapes, and stop at whatever does not fit.

    Args:
        source: as in `load_weights`.
        expected: our names and shapes.
        variant: what the network is, if that is known.
        new_head: a head of another size is left out, and that is said.
    """
    with _opened(source) as file:
        found, wanted = dict(file.found), dict(expected)
        for name in _counters(expected):
            found.pop(name, None)
        notes = [*_leave_head(file.path, found, wanted, new_head), *_adapt_stem(file.path, found, wanted)]
        _check_fit(file.path, file.layout, found, wanted)
        _check_floats(file, found)
        _check_same_function(file, variant)
        yield Checked(lambda name: file.value(found[name]) if name in wanted else None, file.preprocessing(), notes)


def assign(model: keras.Model, weights: Checked) -> None:
    """Give a network its weights, one at a time: a large network is never there twice. Say what was let through."""
    for name, variables in _by_common_name(model).items():
        value = weights.value(name)
        if value is not None:
            _assign(name, variables, value)
    if hasattr(model, "arguments"):
        preprocessing = weights.preprocessing
        model.arguments["preprocessing"] = None if preprocessing is None else preprocessing.to_json()
    for note in weights.notes:
        warnings.warn(note, stacklevel=3)


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
        raise ValueError(f"`to` must be one of {', '.join(TARGETS)}. Received: {to!r}")
    _check_out(Path(out), to)
    with _opened(source) as file:
        found = file.found
        variant = _variant_in(file)
        stem = found.get(_stem(found))
        channels = stem.shape[2] if stem and len(stem.shape) == 4 else 3
        classes = found[HEAD[1]].shape[0] if HEAD[1] in found and found[HEAD[1]].shape else None
        expected = variant_shapes(variant, channels, classes)
        _check_fit(file.path, file.layout, found, expected | {n: () for n in _counters(expected) if n in found})
        _check_floats(file, {name: found[name] for name in expected})
        _check_target(variant, to)
        weights = {name: file.value(place) for name, place in found.items()}
        metadata = {"format": "pt"} if to != "resnext" else _metadata(file.facts(), file.preprocessing(), file.known)
    _write(Path(out), weights if to == "resnext" else to_torch(weights, variant), metadata)
    return Converted(Path(out), variant, classes, len(weights))


class _Opened(NamedTuple):
    """A file of weights, and what is known of it."""

    path: Path
    tensors: Tensors
    layout: Layout
    found: dict[str, Place]
    known: PublishedWeights | None

    def value(self, place: Place) -> np.ndarray:
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
def _opened(source: str | Path) -> Iterator[_Opened]:
    path, known = find_file(source)
    with open_tensors(path) as tensors:
        prefix = "module." if all(name.startswith("module.") for name in tensors.shapes) else ""  # DataParallel's
        shapes = {name.removeprefix(prefix): shape for name, shape in tensors.shapes.items()}
        layout = layout_of_file(shapes)
        if layout is None:
            some = ", ".join(map(readable, sorted(tensors.shapes)[:3])) or "none"
            raise WeightsError(
                f"{path}: no ResNeXt or ResNet that resnext knows has such tensors: {some}, ... Allowed: the names of "
                "resnext, torchvision, timm, keras-applications or qubvel's classification_models."
            )
        found = places(shapes, layout)
        found = {ours: place._replace(names=tuple(prefix + n for n in place.names)) for ours, place in found.items()}
        tag = tensors.metadata.get("weights") if layout is OURS else None  # of the published weights that became ours
        if known is None and tag in published_weights():
            known = published_weights()[tag]
            say_licence(known)
        yield _Opened(path, tensors, layout, found, known)


def _counters(expected: Shapes) -> list[str]:
    """Names of PyTorch's counts of steps, one for each batch norm."""
    return [name.replace("/gamma", f"/{COUNTER}") for name in expected if name.endswith("/gamma")]


def _leave_head(path: Path, found: dict[str, Place], expected: dict[str, Shape], new_head: bool) -> Iterator[str]:
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


def _adapt_stem(path: Path, found: dict[str, Place], expected: dict[str, Shape]) -> Iterator[str]:
    """Make the kernel for colour images fit others: summed for one channel, repeated and scaled down for more.

    As timm does: n channels see the kernel's three in turn, times 3 / n, so that grey images give what they gave.
    """
    name = _stem(expected)
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
    found[name] = Place(place.names, (height, width, channels, filters), build)
    yield f"{path} is for 3 input channels, the network has {channels}: its stem is adapted."


def _stem(names: Mapping[str, object]) -> str:
    return "stem_1_conv/kernel" if "stem_1_conv/kernel" in names else "stem_conv/kernel"


def _check_fit(path: Path, layout: Layout, found: Mapping[str, Place], expected: Shapes) -> None:
    """Stop at any difference, in the file's own words."""

    def given(name):
        place = found[name]
        return f"+ {readable(place.names[0])} {their_shape(place.shape, layout)}"

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


def _check_floats(file: _Opened, found: Mapping[str, Place]) -> None:
    names = sorted(name for place in found.values() for name in place.names)
    others = [f"{name} {file.tensors.dtypes[name]}" for name in names if file.tensors.dtypes[name] not in FLOATS]
    if others:
        raise WeightsError(f"{file.path}: weights are {', '.join(FLOATS)}; these are not: {', '.join(others)}")


def _check_same_function(file: _Opened, variant: Variant | None) -> None:
    """Stop where equal shapes hide another function."""
    for fact, value in file.facts().items():
        if variant and getattr(variant, fact) != value:
            raise WeightsError(
                f"{file.path}: these weights are for {fact}={value!r}, "
                f"the network {variant.name} has {getattr(variant, fact)!r}."
            )


def _variant_in(file: _Opened) -> Variant:
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
        raise ValueError(f"{to} has no {variant.name} ({options}). Allowed: {allowed}.")


def _metadata(
    facts: dict[str, Any], preprocessing: Preprocessing | None, known: PublishedWeights | None = None
) -> dict[str, str]:
    """What a file of ours says beside its tensors: facts of the network, its images, and whose weights they are."""
    metadata = {"format": "resnext"}
    if facts:
        metadata["network"] = json.dumps(facts)
    if preprocessing:
        metadata["preprocessing"] = json.dumps(preprocessing.to_json())
    if known:
        metadata["weights"] = known.tag
    return metadata


def _check_out(out: Path, to: str) -> None:
    """Stop before the work where the file could not be written, or would be another than its name says."""
    suffixes = (".safetensors",) if to == "resnext" else (".safetensors", *TORCH_SUFFIXES)
    if out.suffix not in suffixes:
        raise ValueError(f"{out}: weights for {to} are written as {', '.join(suffixes)}. Give such a name.")
    if out.is_dir() or not out.parent.is_dir():
        raise ValueError(
            f"{out}: {'a folder' if out.is_dir() else 'its folder does not exist'}. Give a file in a folder."
        )


def _write(path: Path, weights: Mapping[str, np.ndarray], metadata: dict[str, str]) -> None:
    if path.suffix in TORCH_SUFFIXES:
        write_atomically(path, _pickled_by_torch(weights))
    else:
        write_atomically(path, _packed(weights, metadata))


def _pickled_by_torch(weights: Mapping[str, np.ndarray]) -> bytes:
    try:
        import torch
    except ImportError as error:
        raise ImportError("writing PyTorch's format needs the package torch: pip install 'resnext[torch]'") from error

    def tensor(array):
        if array.dtype.name == "bfloat16":  # NumPy's comes from another package, which PyTorch does not know
            return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
        return torch.from_numpy(array)

    stream = io.BytesIO()
    torch.save({name: tensor(array) for name, array in weights.items()}, stream)
    return stream.getvalue()


def get_weights(model: keras.Model) -> dict[str, np.ndarray]:
    """The weights by name, as form c has them: `stage2_block1_transform_3x3_conv/kernel` and so on."""
    import keras

    weights = {}
    for name, variables in _by_common_name(model).items():
        arrays = [keras.ops.convert_to_numpy(variable) for variable in variables]
        weights[name] = np.concatenate(arrays, _path_axis(name)) if len(arrays) > 1 else arrays[0]
    return weights


def weight_shapes(model: keras.Model) -> dict[str, tuple[int, ...]]:
    """The shapes of `get_weights`, without copying a value."""
    shapes = {}
    for name, variables in _by_common_name(model).items():
        shape = list(variables[0].shape)
        if len(variables) > 1:
            shape[_path_axis(name)] *= len(variables)
        shapes[name] = tuple(shape)
    return shapes


def set_weights(model: keras.Model, weights: dict[str, np.ndarray]) -> None:
    """Assign what `get_weights` gave, to a network of any equal form. Names and shapes must fit."""
    for name, variables in _by_common_name(model).items():
        _assign(name, variables, weights[name])


def _assign(name: str, variables: list, array: np.ndarray) -> None:
    """Give a weight to its variable, or to those of the paths, each its slice."""
    for variable, part in zip(variables, np.split(array, len(variables), _path_axis(name)), strict=True):
        variable.assign(part)


def _by_common_name(model: keras.Model) -> dict[str, list]:
    """Variables under the name that they have in form c; those of the paths in order, under one name."""
    names = [f"{layer.name}/{variable.name}" for layer in model.layers for variable in layer.weights]
    if len(set(names)) < len(names):
        raise WeightsError(f"{model.name}: several weights have one name. Give a network that `ResNeXt` built.")
    variables = {}
    for layer in model.layers:
        for variable in layer.weights:
            name = f"{re.sub(r'_path[0-9]+_', '_', layer.name)}/{variable.name}"
            variables.setdefault(name, []).append(variable)
    return variables


def _path_axis(name: str) -> int:
    return -2 if name.endswith("transition_conv/kernel") else -1
