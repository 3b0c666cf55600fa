"""The graph of a network in ONNX, written from its layers and identical for every backend.

Keras's own exporters were measured: the one for TensorFlow writes grouped convolutions that nothing loads, PyTorch's is
wrong for inputs of variable size, and JAX's needs sixty packages (docs/decisions.md). A folded network consists of a
dozen kinds of operation, which this file converts. Images are (batch, channels, height, width) in ONNX.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from resnext.errors import ArgumentError

if TYPE_CHECKING:
    import keras

OPSET = 17
IR_VERSION = 9
Operation = Any  # a Keras layer or an operation of keras.ops


class Graph:
    """Nodes and weights of a graph under construction; values are named after the layers that compute them."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.names: dict[str, int] = {}

    def node(self, kind: str, inputs: Sequence[str], name: str, outputs: int = 1, **attributes: Any) -> Any:
        """Add a node; return the name of its output, or of several outputs."""
        name = self._unused(name)
        names = [name] if outputs == 1 else [f"{name}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, name=name, **attributes))
        return names[0] if outputs == 1 else names

    def weight(self, values: np.ndarray, name: str) -> str:
        """Add a constant; return its name."""
        name = self._unused(name)
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def _unused(self, name: str) -> str:
        count = self.names.get(name, 0)
        self.names[name] = count + 1
        return name if count == 0 else f"{name}.{count}"


def add_network(graph: Graph, network: keras.Model, images: str) -> list[str]:
    """Add the operations of a folded network, channels last, and return the names of its outputs.

    Args:
        graph: graph to extend.
        network: functional model with one input.
        images: name of its input in the graph, float (batch, channels, height, width).

    Raises:
        ArgumentError: an operation that resnext's networks do not have.
    """
    from resnext.model.keras_graph import nodes

    values = {id(network.inputs[0]): images}
    for node in nodes(network):
        if node.is_input:
            continue
        inputs = [values[id(tensor)] for tensor in node.input_tensors]
        outputs = _write(graph, node, inputs)
        for tensor, name in zip(node.outputs, outputs if isinstance(outputs, list) else [outputs], strict=True):
            values[id(tensor)] = name
    return [values[id(tensor)] for tensor in network.outputs]


def _write(graph: Graph, node: Any, inputs: list[str]) -> str | list[str]:
    operation = node.operation
    kind = next((each.__name__ for each in type(operation).__mro__ if each.__name__ in WRITERS), None)
    if kind is None:
        raise ArgumentError(
            f"export knows no {type(operation).__name__} ({operation.name}). Export a network that ResNeXt built."
        )
    return WRITERS[kind](graph, operation, inputs, node)


def _convolution(graph: Graph, layer: Operation, inputs: list[str], node: Any) -> str:
    kernel, *bias = (np.asarray(weight, np.float32) for weight in layer.get_weights())
    weights = [graph.weight(kernel.transpose(3, 2, 0, 1), f"{layer.name}/kernel")]
    weights += [graph.weight(each, f"{layer.name}/bias") for each in bias]
    output = graph.node(
        "Conv",
        [inputs[0], *weights],
        layer.name,
        group=layer.groups,
        kernel_shape=list(layer.kernel_size),
        strides=list(layer.strides),
        dilations=list(layer.dilation_rate),
        pads=_pads(layer, node.input_tensors[0].shape[1:3]),
    )
    return _finished(graph, layer, output, inputs[1:])


def _pads(layer: Operation, sides: tuple[int, int]) -> list[int]:
    """Return the padding of a convolution: top, left, bottom, right."""
    if layer.padding == "valid":
        return [0, 0, 0, 0]
    pairs = []
    for side, size, stride, dilation in zip(sides, layer.kernel_size, layer.strides, layer.dilation_rate, strict=True):
        reach = (size - 1) * dilation + 1
        total = max((math.ceil(side / stride) - 1) * stride + reach - side, 0) if stride > 1 else reach - 1
        pairs.append((total // 2, total - total // 2))
    (top, bottom), (left, right) = pairs
    return [top, left, bottom, right]


def _batch_norm(graph: Graph, layer: Operation, inputs: list[str], node: Any) -> str:
    channels = node.input_tensors[0].shape[-1]
    given = {
        weight.path.rsplit("/")[-1]: np.asarray(value)
        for weight, value in zip(layer.weights, layer.get_weights(), strict=True)
    }
    defaults = {"gamma": 1.0, "beta": 0.0, "moving_mean": 0.0, "moving_variance": 1.0}
    gamma, beta, mean, variance = (
        np.broadcast_to(np.asarray(given.get(name, value), np.float64), channels) for name, value in defaults.items()
    )
    scale = gamma / np.sqrt(variance + layer.epsilon)
    factors = [values.astype(np.float32).reshape(1, -1, 1, 1) for values in (scale, beta - mean * scale)]
    scaled = graph.node("Mul", [inputs[0], graph.weight(factors[0], f"{layer.name}/scale")], f"{layer.name}/scaled")
    output = graph.node("Add", [scaled, graph.weight(factors[1], f"{layer.name}/offset")], layer.name)
    return _finished(graph, layer, output, inputs[1:])


def _finished(graph: Graph, layer: Operation, output: str, addends: list[str]) -> str:
    for addend in addends:
        output = graph.node("Add", [output, addend], f"{layer.name}/add")
    return _activated(graph, getattr(layer, "activation", None), output, layer.name)


def _activated(graph: Graph, activation: Callable | None, value: str, name: str) -> str:
    kind = getattr(activation, "__name__", "linear")
    if kind == "linear":
        return value
    if kind in ("relu", "sigmoid", "elu"):
        return graph.node(kind.capitalize(), [value], f"{name}/{kind}")
    if kind in ("silu", "mish"):  # x * sigmoid(x); x * tanh(log(1 + exp(x)))
        inner = [graph.node("Softplus", [value], f"{name}/softplus")] if kind == "mish" else [value]
        factor = graph.node("Tanh" if kind == "mish" else "Sigmoid", inner, f"{name}/factor")
        return graph.node("Mul", [value, factor], f"{name}/{kind}")
    raise ArgumentError(f"export knows no activation {kind} ({name}). Allowed: relu, silu, mish, elu, sigmoid.")


def _activation(graph: Graph, layer: Operation, inputs: list[str], node: Any) -> str:
    return _activated(graph, layer.activation, inputs[0], layer.name)


def _relu(graph: Graph, layer: Operation, inputs: list[str], node: Any) -> str:
    return graph.node("Relu", inputs, layer.name)


def _zero_padding(graph: Graph, layer: Operation, inputs: list[str], node: Any) -> str:
    (top, bottom), (left, right) = layer.padding
    return _padded(graph, inputs[0], [(0, 0), (top, bottom), (left, right), (0, 0)], 0.0, layer.name)


def _pad(graph: Graph, operation: Operation, inputs: list[str], node: Any) -> str:
    value = node.arguments.kwargs.get("constant_values") or 0.0
    return _padded(graph, inputs[0], operation.pad_width, float(value), operation.name)


def _padded(graph: Graph, value: str, widths: Sequence[tuple[int, int]], constant: float, name: str) -> str:
    images, rows, columns, channels = widths
    order = (images, channels, rows, columns)
    pads = graph.weight(np.array([each[i] for i in (0, 1) for each in order], np.int64), f"{name}/pads")
    return graph.node("Pad", [value, pads, graph.weight(np.array(constant, np.float32), f"{name}/value")], name)


def _pool(kind: str) -> Callable[[Graph, Operation, list[str], Any], str]:
    def write(graph: Graph, layer: Operation, inputs: list[str], node: Any) -> str:
        padding = {"same": "SAME_UPPER", "valid": "VALID"}[layer.padding]
        size, strides = list(layer.pool_size), list(layer.strides)
        return graph.node(kind, inputs, layer.name, auto_pad=padding, kernel_shape=size, strides=strides)

    return write


def _global_pool(graph: Graph, layer: Operation, inputs: list[str], node: Any) -> str:
    output = graph.node("GlobalAveragePool", inputs, layer.name if layer.keepdims else f"{layer.name}/pool")
    return output if layer.keepdims else graph.node("Flatten", [output], layer.name)


def _dense(graph: Graph, layer: Operation, inputs: list[str], node: Any) -> str:
    kernel, *bias = (np.asarray(weight, np.float32) for weight in layer.get_weights())
    weights = [
        graph.weight(kernel, f"{layer.name}/kernel"),
        *(graph.weight(each, f"{layer.name}/bias") for each in bias),
    ]
    return _activated(graph, layer.activation, graph.node("Gemm", [*inputs, *weights], layer.name), layer.name)


def _add(graph: Graph, layer: Operation, inputs: list[str], node: Any) -> str:
    total = inputs[0]
    for each in inputs[1:]:
        total = graph.node("Add", [total, each], layer.name)
    return total


def _multiply(graph: Graph, layer: Operation, inputs: list[str], node: Any) -> str:
    return graph.node("Mul", inputs, layer.name)


def _concatenate(graph: Graph, layer: Operation, inputs: list[str], node: Any) -> str:
    return graph.node("Concat", inputs, layer.name, axis=1)


def _positions_apart(graph: Graph, layer: Operation, inputs: list[str], node: Any) -> str:
    mask = layer.mask.transpose(0, 3, 1, 2)
    copies = inputs * (mask.shape[1] // node.input_tensors[0].shape[-1])
    copied = graph.node("Concat", copies, f"{layer.name}/copies", axis=1) if len(copies) > 1 else copies[0]
    return graph.node("Mul", [copied, graph.weight(mask, f"{layer.name}/mask")], layer.name)


def _split(graph: Graph, operation: Operation, inputs: list[str], node: Any) -> list[str]:
    widths = graph.weight(np.array([tensor.shape[-1] for tensor in node.outputs], np.int64), f"{operation.name}/widths")
    count = len(node.outputs)
    return graph.node("Split", [*inputs, widths], operation.name, count, axis=1)


def _reshape(graph: Graph, layer: Operation, inputs: list[str], node: Any) -> str:
    """Reshape between (batch, 1, 1, channels) and (batch, channels, 1), as in efficient channel attention."""
    shape = layer.target_shape
    target = [0, 1, -1] if len(shape) == 2 else [0, -1, 1, 1]
    return graph.node(
        "Reshape", [inputs[0], graph.weight(np.array(target, np.int64), f"{layer.name}/shape")], layer.name
    )


def _convolution_1d(graph: Graph, layer: Operation, inputs: list[str], node: Any) -> str:
    (kernel,) = layer.get_weights()
    weight = graph.weight(np.asarray(kernel, np.float32).transpose(2, 1, 0), f"{layer.name}/kernel")
    half = (layer.kernel_size[0] - 1) // 2
    output = graph.node("Conv", [inputs[0], weight], layer.name, pads=[half, layer.kernel_size[0] - 1 - half])
    return _activated(graph, layer.activation, output, layer.name)


def _same(graph: Graph, layer: Operation, inputs: list[str], node: Any) -> str:
    return inputs[0]


WRITERS: dict[str, Callable[[Graph, Operation, list[str], Any], str | list[str]]] = {
    "Conv2D": _convolution,
    "BatchNormalization": _batch_norm,
    "Activation": _activation,
    "ReLU": _relu,
    "ZeroPadding2D": _zero_padding,
    "Pad": _pad,
    "MaxPooling2D": _pool("MaxPool"),
    "AveragePooling2D": _pool("AveragePool"),
    "GlobalAveragePooling2D": _global_pool,
    "Dense": _dense,
    "Add": _add,
    "Multiply": _multiply,
    "Concatenate": _concatenate,
    "PositionsApart": _positions_apart,
    "Split": _split,
    "Reshape": _reshape,
    "Conv1D": _convolution_1d,
    "Dropout": _same,
}
