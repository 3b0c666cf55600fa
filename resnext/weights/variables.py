"""A network's variables as named arrays, and back: the only file in this folder that touches a model's variables.

Every form's weights are arranged as in form c, where the paths of forms a and b are slices: of the output channels in
the transform, of the input channels in form a's transition."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from resnext.errors import WeightsError

if TYPE_CHECKING:
    import keras


def get_weights(model: keras.Model) -> dict[str, np.ndarray]:
    """Return the weights by name, as in form c: `stage2_block1_transform_3x3_conv/kernel` and so on."""
    import keras

    weights = {}
    for name, variables in variables_by_name(model).items():
        arrays = [keras.ops.convert_to_numpy(variable) for variable in variables]
        weights[name] = np.concatenate(arrays, _path_axis(name)) if len(arrays) > 1 else arrays[0]
    return weights


def weight_shapes(model: keras.Model) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the arrays of `get_weights` without copying a value."""
    shapes = {}
    for name, variables in variables_by_name(model).items():
        shape = list(variables[0].shape)
        if len(variables) > 1:
            shape[_path_axis(name)] *= len(variables)
        shapes[name] = tuple(shape)
    return shapes


def set_weights(model: keras.Model, weights: dict[str, np.ndarray]) -> None:
    """Assign the result of `get_weights` to a network of any equivalent form. Names and shapes must fit."""
    for name, variables in variables_by_name(model).items():
        assign_weight(name, variables, weights[name])


def assign_weight(name: str, variables: list, array: np.ndarray) -> None:
    """Assign a weight to its variable, or its slices to the variables of the paths."""
    for variable, part in zip(variables, np.split(array, len(variables), _path_axis(name)), strict=True):
        variable.assign(part)


def variables_by_name(model: keras.Model) -> dict[str, list]:
    """Return variables by their name in form c; those of the paths are in order under one name."""
    names = [f"{layer.name}/{variable.name}" for layer in model.layers for variable in layer.weights]
    if len(set(names)) < len(names):
        raise WeightsError(f"{model.name}: several weights have the same name. Pass a network that `ResNeXt` built.")
    variables = {}
    for layer in model.layers:
        for variable in layer.weights:
            name = f"{re.sub(r'_path[0-9]+_', '_', layer.name)}/{variable.name}"
            variables.setdefault(name, []).append(variable)
    return variables


def _path_axis(name: str) -> int:
    return -2 if name.endswith("transition_conv/kernel") else -1
