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
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from resnext.files import write_atomically
from resnext.hub import find_file
from resnext.names import (
    COUNTER,
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
from resnext.preprocessing import Preprocessing
from resnext.published import PublishedWeights
from resnext.tensors import FLOATS, Tensors, WeightsError, open_tensors
from resnext.variants import Variant, get_variant

if TYPE_CHECKING:
    import keras

HEAD = ("predictions/kernel", "predictions/bias")
UNTRACED = ("stem_pool", "anti_aliasing", "activation")  # facts of a network that its weights' shapes do not tell
TARGETS = ("resnext", "torchvision", "timm")


class Converted(NamedTuple):
    """What `convert` has written."""

    path: Path
    variant: Variant
    classes: int | None  # None for a file without a head
    tensors: int


def save_weights(model: keras.Model, path: str | Path) -> None:
    """Write the weights to a safetensors file, as form c has them; an old file stays whole until the new one is.

    >>> save_weights(network, "network.safetensors")  # doctest: +SKIP
    """
    variant, preprocessing = getattr(model, "variant", None), getattr(model, "preprocessing", None)
    _write(Path(path), get_weights(model), _metadata(variant, preprocessing))


def load_weights(model: keras.Model, source: str | Path) -> None:
    """Read weights into a network of the same variant, in any equal form, from whatever `ResNeXt(weights=)` takes.

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


@contextlib.contextmanager
def checked(source: str | Path, expected: Shapes, variant: Variant | None, new_head: bool = False) -> Iterator[Checked]:
    """Open weights for a network with such names and shapes, and stop at whatever does not fit.

    Args:
        source: as in `load_weights`.
        expected: our names and shapes.
        variant: what the network is, if that is known.
        new_head: a head of another size is left out, and that is said.
    """
    path, known = find_file(source)
    wanted = dict(expected)
    with open_tensors(path) as file:
        layout, found = _our_places(path, file)
        notes = [*_leave_head(path, found, wanted, new_head), *_adapt_stem(path, found, wanted)]
        _check_fit(path, layout, found, wanted)
        _check_floats(path, file, found)
        _check_same_function(path, variant, _said_variant(path, file, known))
        preprocessing = _preprocessing_in(path, file, layout) or (known.preprocessing if known else None)
        for note in notes:
            warnings.warn(note, stacklevel=6)  # the caller of ResNeXt
        yield Checked(lambda name: _value(file, found[name]) if name in wanted else None, preprocessing)


def assign(model: keras.Model, weights: Checked) -> None:
    """Give a network its weights, one at a time: a large network is never there twice."""
    for name, variables in _by_common_name(model).items():
        value = weights.value(name)
        if value is not None:
            _assign(name, variables, value)


def convert(source: str | Path, out: str | Path, to: str = "resnext") -> Converted:
    """Write weights to another file, with other names: no backend is needed, and every value stays as it is.

    Args:
        source: what `ResNeXt(weights=)` takes.
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
    path, known = find_file(source)
    with open_tensors(path) as file:
        layout, found = _our_places(path, file)
        said = _said_variant(path, file, known)
        variant = _variant_in(path, layout, found, said)
        stem = found.get(_stem(found))
        channels = stem.shape[2] if stem and len(stem.shape) == 4 else 3
        classes = found[HEAD[1]].shape[0] if HEAD[1] in found and found[HEAD[1]].shape else None
        expected = variant_shapes(variant, channels, classes)
        counters = {name.replace("gamma", COUNTER): () for name in expected if name.endswith("/gamma")}
        _check_fit(path, layout, found, expected | {name: counters[name] for name in found if name in counters})
        _check_floats(path, file, {name: found[name] for name in expected})
        _check_target(variant, to)
        weights = {name: _value(file, place) for name, place in found.items()}
        preprocessing = _preprocessing_in(path, file, layout) or (known.preprocessing if known else None)
    if to == "resnext":
        # Of a plain file nobody knows whether its network averages where others stride: then ours does not say either.
        sure = said or variant.stem_pool == "ceil"
        _write(Path(out), weights, _metadata(variant if sure else None, preprocessing))
    else:
        _write(Path(out), to_torch(weights, variant), {"format": "pt"})
    return Converted(Path(out), variant, classes, len(weights))


def _our_places(path: Path, file: Tensors) -> tuple[Layout, dict[str, Place]]:
    shapes = file.shapes
    if shapes and all(name.startswith("module.") for name in shapes):  # DataParallel's; the WSL and SSL files have it
        plain = {name.removeprefix("module."): shape for name, shape in shapes.items()}
        layout = layout_of_file(plain)
        found = {} if layout is None else places(plain, layout)
        found = {ours: place._replace(names=tuple(f"module.{n}" for n in place.names)) for ours, place in found.items()}
    else:
        layout = layout_of_file(shapes)
        found = {} if layout is None else places(shapes, layout)
    if layout is None:
        some = ", ".join(sorted(shapes)[:3]) or "none"
        raise WeightsError(
            f"{path}: no ResNeXt or ResNet that resnext knows has such tensors: {some}, ... "
            "Allowed: the names of resnext, torchvision, timm, keras-applications or qubvel's classification_models."
        )
    return layout, found


def _leave_head(path: Path, found: dict[str, Place], expected: dict[str, Shape], new_head: bool) -> Iterator[str]:
    """Forget the head where the network has none, or, where that is asked for, where it fits none; say what is new."""
    for name in [name for name in found if name.endswith(f"/{COUNTER}")]:
        del found[name]
    if HEAD[0] not in expected:
        for name in HEAD:
            found.pop(name, None)
    elif new_head and any(name not in found or found[name].shape != expected[name] for name in HEAD):
        classes = expected[HEAD[1]][0]
        given = f"{found[HEAD[1]].shape[0]:,} classes" if HEAD[1] in found else "no head"
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
        return f"+ {', '.join(place.names[:1])} {their_shape(place.shape, layout)}"

    def wanted(name):
        return f"- {layout.their_name(name)} {their_shape(expected[name], layout)}"

    shared = [name for name in sorted(found.keys() & expected.keys()) if found[name].shape != expected[name]]
    odds = [given(name) for name in sorted(found.keys() - expected.keys())]
    odds += [wanted(name) for name in sorted(expected.keys() - found.keys())]
    odds += [f"{given(name)}\n{wanted(name)}" for name in shared]
    if odds:
        hint = ""
        if {*shared, *(found.keys() ^ expected.keys())} <= set(HEAD) and HEAD[1] in expected:
            hint = "\nFor a new head on these weights give the number of classes: ResNeXt(..., classes=...)."
        raise WeightsError(
            f"{path}: these tensors are not the network's (+ the file's, - the network's):\n" + "\n".join(odds) + hint
        )


def _check_floats(path: Path, file: Tensors, found: Mapping[str, Place]) -> None:
    names = sorted(name for place in found.values() for name in place.names)
    others = [f"{name} {file.dtypes[name]}" for name in names if file.dtypes[name] not in FLOATS]
    if others:
        raise WeightsError(f"{path}: weights are {', '.join(FLOATS)}; these are not: {', '.join(others)}")


def _value(file: Tensors, place: Place) -> np.ndarray:
    # In one piece: safetensors writes the memory of an array as it lies.
    return np.asarray(place.build(*(file.read(name) for name in place.names)), order="C")


def _said_variant(path: Path, file: Tensors, known: PublishedWeights | None) -> Variant | None:
    """The network that the weights are published for, or that a file of ours was written from."""
    if known:
        return get_variant(known.variant)
    if file.metadata.get("format") != "resnext" or "variant" not in file.metadata:
        return None
    try:
        return Variant.from_json(json.loads(file.metadata["variant"]))
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(f"{path}: what it says of its network is damaged ({error}).") from error


def _check_same_function(path: Path, variant: Variant | None, said: Variant | None) -> None:
    """Stop where equal shapes hide another function."""
    for fact in UNTRACED:
        if variant and said and getattr(variant, fact) != getattr(said, fact):
            raise WeightsError(
                f"{path}: these weights are for {fact}={getattr(said, fact)!r} ({said.name}), "
                f"the network has {getattr(variant, fact)!r} ({variant.name})."
            )


def _variant_in(path: Path, layout: Layout, found: Mapping[str, Place], said: Variant | None) -> Variant:
    variant = find_variant({name: place.shape for name, place in found.items()}, layout)
    if variant is None:
        raise WeightsError(f"{path}: the shapes of its tensors are those of no network that resnext knows.")
    return dataclasses.replace(variant, **{fact: getattr(said, fact) for fact in UNTRACED}) if said else variant


def _preprocessing_in(path: Path, file: Tensors, layout: Layout) -> Preprocessing | None:
    """What a file says of the images that its network was trained on."""
    names = [f"{QUBVEL_IMAGES}/{part}" for part in ("beta", "moving_mean", "moving_variance")]
    try:
        if layout is QUBVEL and all(file.shapes.get(name) == (3,) for name in names):
            mean, std = qubvel_normalisation(*map(file.read, names))
            return Preprocessing(224, 256, mean=mean, std=std)
        if file.metadata.get("format") == "resnext" and "preprocessing" in file.metadata:
            return Preprocessing.from_json(json.loads(file.metadata["preprocessing"]))
    except (ValueError, TypeError, RecursionError) as error:
        raise WeightsError(f"{path}: what it says of the images' preprocessing is damaged ({error}).") from error
    return None


def _check_target(variant: Variant, to: str) -> None:
    """Stop where torchvision or timm have no such network: its file could be loaded by nobody."""
    plain = variant.stem == "imagenet" and variant.shortcut in "BD"
    no = {
        "resnext": False,
        "torchvision": variant.attention or variant.anti_aliasing or variant.shortcut != "B" or not plain,
        "timm": not plain,
    }
    if no[to] or (to == "torchvision" and variant.stem_pool == "ceil"):
        other = ", or timm" if to == "torchvision" and plain else ""
        raise ValueError(f"{to} has no {variant.name} (shortcut {variant.shortcut}). Allowed: --to resnext{other}.")


def _metadata(variant: Variant | None, preprocessing: Preprocessing | None) -> dict[str, str]:
    facts = {"format": "resnext"}
    if variant:
        facts["variant"] = json.dumps(dataclasses.asdict(variant))
    if preprocessing:
        facts["preprocessing"] = json.dumps(preprocessing.to_json())
    return facts


def _write(path: Path, weights: Mapping[str, np.ndarray], metadata: dict[str, str]) -> None:
    if path.suffix in (".pth", ".pt", ".bin"):
        if metadata["format"] == "resnext":
            raise ValueError(
                f"{path}: weights of resnext are written as safetensors. Allowed: a name with .safetensors"
            )
        write_atomically(path, _pickled_by_torch(weights))
    else:
        from safetensors.numpy import save

        write_atomically(path, save(dict(weights), metadata=metadata))


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
