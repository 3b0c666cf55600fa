"""Weights under common names, in and out of files: safetensors, loaded strictly or not at all.

Every form's weights lie as form c has them. There the paths of forms a and b are slices: of the output channels in the
transform, of the input channels in form a's transition.
"""

import re
from pathlib import Path

import keras
import numpy as np

from resnext.files import write_atomically

FLOATS = ("F64", "F32", "F16", "BF16")  # safetensors' names


class WeightsError(ValueError):
    """A weights file that can't be read or does not fit; the message lists every tensor that is at odds."""


def save_weights(model: keras.Model, path: str | Path) -> None:
    """Write the weights to a safetensors file, as form c has them; an old file stays whole until the new one is.

    >>> save_weights(network, "network.safetensors")  # doctest: +SKIP
    """
    from safetensors.numpy import save

    write_atomically(Path(path), save(get_weights(model), metadata={"format": "resnext"}))


def load_weights(model: keras.Model, path: str | Path) -> None:
    """Read weights that `save_weights` wrote into a network of the same variant, in any equal form.

    Raises:
        WeightsError: no such file, not safetensors, or its tensors are not exactly the network's. A tensor that only
            the file has is listed with `+`, one that only the network has with `-`.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file. Allowed: None, or a .safetensors file of resnext.")
    try:
        with safe_open(path, framework="numpy") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            _check_fit(path, shapes, weight_shapes(model))
            dtypes = {name: file.get_slice(name).get_dtype() for name in sorted(shapes)}
            others = [f"{name} {dtype}" for name, dtype in dtypes.items() if dtype not in FLOATS]
            if others:
                raise WeightsError(f"{path}: weights are {', '.join(FLOATS)}; these are not: {', '.join(others)}")
            weights = {name: file.get_tensor(name) for name in shapes}
    except SafetensorError as error:
        raise WeightsError(f"{path}: not a whole safetensors file ({error}).") from error
    set_weights(model, weights)


def _check_fit(path, given: dict, expected: dict) -> None:
    odds = [f"+ {name} {given[name]}" for name in sorted(given.keys() - expected.keys())]
    odds += [f"- {name} {expected[name]}" for name in sorted(expected.keys() - given.keys())]
    odds += [
        f"+ {name} {given[name]}\n- {name} {expected[name]}"
        for name in sorted(given.keys() & expected.keys())
        if given[name] != expected[name]
    ]
    if odds:
        raise WeightsError(
            f"{path}: these tensors are not the network's (+ the file's, - the network's):\n" + "\n".join(odds)
        )


def get_weights(model: keras.Model) -> dict[str, np.ndarray]:
    """The weights by name, as form c has them: `stage2_block1_transform_3x3_conv/kernel` and so on."""
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
        for variable, array in zip(variables, np.split(weights[name], len(variables), _path_axis(name)), strict=True):
            variable.assign(array)


def _by_common_name(model: keras.Model) -> dict[str, list]:
    """Variables under the name that they have in form c; those of the paths in order, under one name."""
    names = [f"{layer.name}/{variable.name}" for layer in model.layers for variable in layer.variables]
    if len(set(names)) < len(names):
        raise WeightsError(f"{model.name}: several weights have one name. Give a network that `ResNeXt` built.")
    variables = {}
    for layer in model.layers:
        for variable in layer.variables:
            name = f"{re.sub(r'_path[0-9]+_', '_', layer.name)}/{variable.name}"
            variables.setdefault(name, []).append(variable)
    return variables


def _path_axis(name: str) -> int:
    return -2 if name.endswith("transition_conv/kernel") else -1
