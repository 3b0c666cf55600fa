"""Fold batch norm into the convolutions before it: the same function at inference, in fewer and larger steps."""

import collections

import keras
import numpy as np
from keras import layers

from resnext.errors import ArgumentError
from resnext.layers.convolution import GroupedConv2D
from resnext.model.keras_graph import nodes, producer


def fold(model: keras.Model) -> keras.Model:
    """Return a network for inference with batch norm folded in: its scale in the kernels, its offset in the biases.

    With moving mean m, moving variance v and epsilon e, gamma * (W x - m) / sqrt(v + e) + beta is one convolution whose
    kernel is W * s and whose bias is beta - m * s, where s = gamma / sqrt(v + e). Addition and ReLU that follow are
    computed by the convolution as well. If paths are summed before the norm (form a), each gets the scale and the first
    gets the offset. A batch norm that follows anything else is left unchanged. Models inside the model are folded, too.

    Args:
        model: functional model, such as `ResNeXt` builds in any form. It is left unchanged.

    Returns:
        A model with other weights and the same outputs, to 1e-5 of the largest in float32.

    Raises:
        ArgumentError: not a functional model.

    >>> inputs = keras.Input((8, 8, 3))
    >>> network = keras.Model(inputs, layers.BatchNormalization()(layers.Conv2D(4, 3)(inputs)))
    >>> len(network.layers), len(fold(network).layers)
    (3, 2)
    """
    if isinstance(model, keras.Sequential) and model.built:
        model = keras.Model(model.inputs, model.outputs, name=model.name)
    if not _is_functional(model):
        raise ArgumentError(
            "`model` must be a functional model, such as ResNeXt builds. "
            f"Received: {type(model).__name__} {model.name!r}"
        )
    folds = _folds(model)
    clone = keras.models.clone_model(model, clone_function=_clone_function(folds))
    folded = keras.Model(clone.input, clone.output, name=model.name)
    of_folds = {layer.name for norm, convolutions in folds.items() for layer in (norm, *convolutions)}
    for layer in folded.layers:
        if layer.weights and layer.name not in of_folds and not _is_functional(layer):
            layer.set_weights(model.get_layer(layer.name).get_weights())
    for norm, convolutions in folds.items():
        _fold_weights(norm, convolutions, [folded.get_layer(layer.name) for layer in convolutions])
    return folded


def _is_functional(model) -> bool:
    return isinstance(model, keras.Model) and hasattr(model, "operations")


def _folds(model) -> dict:
    """Return for each batch norm the convolutions whose output, or the sum of whose outputs, goes only to it."""
    calls_of = [*nodes(model)]
    calls = collections.Counter(node.operation for node in calls_of)
    before = {node.operation: [producer(tensor) for tensor in node.input_tensors] for node in calls_of}
    by_name = {
        node.operation for node in calls_of if any(map(keras.backend.is_keras_tensor, node.arguments.kwargs.values()))
    }
    uses = collections.Counter(operation for operations in before.values() for operation in operations)
    uses.update(map(producer, model.outputs))
    folds = {}
    for norm in before:
        if not isinstance(norm, layers.BatchNormalization) or norm.renorm or norm in by_name:
            continue
        source = before[norm][0]
        convolutions = before[source] if isinstance(source, layers.Add) else [source]
        once = all(uses[layer] == calls[layer] == 1 for layer in (source, *convolutions)) and calls[norm] == 1
        if once and all(_fits(layer, norm) and len(before[layer]) == 1 for layer in convolutions):
            folds[norm] = convolutions
    return folds


def _fits(operation, norm) -> bool:
    if not isinstance(operation, layers.Conv2D) or operation.activation is not keras.activations.linear:
        return False
    channel_axis = 1 if operation.data_format == "channels_first" else 3
    return norm.axis % 4 == channel_axis and norm.compute_dtype == operation.compute_dtype


def _clone_function(folds: dict):
    """Return the function that replaces each operation; a single convolution moves to the place of its norm."""
    alone = {convolutions[0] for convolutions in folds.values() if len(convolutions) == 1}
    first = {convolutions[0] for convolutions in folds.values()}
    summed = {layer for convolutions in folds.values() if len(convolutions) > 1 for layer in convolutions}

    def clone(operation):
        if operation in alone:
            return lambda x: x
        if _is_functional(operation):
            return fold(operation)
        if operation in summed:
            return _convolution(operation, use_bias=operation in first or operation.use_bias)
        if operation not in folds:
            return (
                type(operation).from_config(operation.get_config())
                if isinstance(operation, layers.Layer)
                else operation
            )
        activation = getattr(operation, "activation", keras.activations.linear)
        if len(folds[operation]) == 1:
            convolution = _convolution(folds[operation][0], use_bias=True, activation=activation)
            return lambda *tensors, **of_norm: convolution(*tensors)
        return lambda *tensors, **of_norm: activation(sum(tensors[1:], tensors[0]))

    return clone


def _convolution(layer: layers.Conv2D, **changes) -> GroupedConv2D:
    unset = {"kernel_initializer": "zeros", "bias_initializer": "zeros"}  # the folded weights follow
    return GroupedConv2D.from_config({**layer.get_config(), **unset, **changes})


def _fold_weights(norm, convolutions: list, folded: list) -> None:
    gamma, beta, mean, variance = (
        default if vector is None else keras.ops.convert_to_numpy(vector).astype(np.float64)
        for vector, default in (
            (norm.gamma, 1.0),
            (norm.beta, 0.0),
            (norm.moving_mean, 0.0),
            (norm.moving_variance, 1.0),
        )
    )
    scale = gamma / np.sqrt(variance + norm.epsilon)
    offset = beta - mean * scale
    for layer, new in zip(convolutions, folded, strict=True):
        new.kernel.assign(keras.ops.convert_to_numpy(layer.kernel) * scale)
        if new.use_bias:
            bias = keras.ops.convert_to_numpy(layer.bias) if layer.use_bias else 0
            new.bias.assign(bias * scale + offset)
            offset = 0  # only the first of a sum has it
