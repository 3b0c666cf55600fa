"""The same weights in another form of the block (Xie et al. 2017, Figure 3 and section 3.1).

In training files the weights lie as form c has them. There the paths of forms a and b are slices: of the output
channels in the transform, of the input channels in form a's transition.
"""

import re

import keras
import numpy as np

from resnext.model import ResNeXt, ResNeXtModel, keras_config

EQUAL_FORMS = ("a", "b", "c")


def to_form(model: ResNeXtModel, form: str) -> ResNeXtModel:
    """A network of another form that computes the same function with the same weights.

    Args:
        model: what `ResNeXt` built in form "a", "b" or "c".
        form: "a", "b" or "c".

    Raises:
        ValueError: the sliced form on either side: it is another function.

    >>> network = ResNeXt("resnext14_2x4d", input_shape=(32, 32, 3), classes=10)
    >>> to_form(network, "b").form
    'b'
    """
    for given in (model.form, form):
        if given not in EQUAL_FORMS:
            raise ValueError(
                f"Only the forms 'a', 'b' and 'c' are the same function. Received: {model.form!r} to {form!r}"
            )
    stem = next(layer for layer in model.layers if layer.name.startswith("stem_"))
    convolution = model.get_layer("stem_conv")
    with keras_config(convolution.dtype_policy, convolution.data_format):
        arguments = {**model.arguments, "variant": model.variant, "form": form, "name": model.name}
        other = ResNeXt(input_tensor=stem.input, **arguments)
    set_weights(other, get_weights(model))
    return other


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
    variables = {}
    for layer in model.layers:
        for variable in layer.variables:
            name = f"{re.sub(r'_path[0-9]+_', '_', layer.name)}/{variable.name}"
            variables.setdefault(name, []).append(variable)
    return variables


def _path_axis(name: str) -> int:
    return -2 if name.endswith("transition_conv/kernel") else -1
