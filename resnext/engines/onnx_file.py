"""A trained network in ONNX, in memory: for export, and for other runtimes to compute."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from resnext.engines.description import Description
from resnext.engines.engine import check_installed
from resnext.images.preprocessing import LUMA, Preprocessing

if TYPE_CHECKING:
    import keras


def onnx_file(classifier: keras.Model, description: Description, maps: bool = False, logits: bool = False) -> bytes:
    """Return a trained network in ONNX.

    Its input `images` is uint8 (batch, size, size, 3), or normalised float32 (batch, 3, size, size); its outputs are
    `probabilities`, float32 (batch, classes), and, if maps are requested, `maps`, float32 (batch, classes, height,
    width), whose means plus the biases of the head are the logits.

    Args:
        classifier: folded network, built with the outputs "logits" and "maps".
        description: description that the file will contain, and its input format.
        maps: whether class activation maps are another output.
        logits: whether the logits are another output, because probabilities can be too small for float32.

    Raises:
        MissingPackageError: onnx is not installed.
    """
    check_installed("onnx", "a network in ONNX")
    from onnx import TensorProto, checker, helper

    from resnext.engines.onnx_graph import IR_VERSION, OPSET, Graph, add_network
    from resnext.model.classifier import head_weights, network_of

    graph, size = Graph(), description.preprocessing.size
    inside = description.input == "uint8"
    images = _normalised(graph, description.preprocessing) if inside else "images"
    scores, *features = add_network(graph, network_of(classifier), images)
    shape_of_answers = ["batch", len(description.classes)]
    kind, axis = ("Sigmoid", {}) if description.several else ("Softmax", {"axis": -1})
    outputs = [("probabilities", graph.node(kind, [scores], "probabilities", **axis), shape_of_answers)]
    if logits:
        outputs.append(("logits", graph.node("Identity", [scores], "logits"), shape_of_answers))
    if maps:
        kernel, _ = head_weights(classifier)
        outputs.append(
            ("maps", _maps(graph, kernel, features[0]), ["batch", len(description.classes), "height", "width"])
        )
    sides = ["rows", "columns"] if description.any_size else [size, size]
    known = description.preprocessing
    shape = ["batch", *sides, known.pixel_channels] if inside else ["batch", known.channel_count, *sides]
    kind = TensorProto.UINT8 if inside else TensorProto.FLOAT
    made = helper.make_graph(
        graph.nodes,
        description.variant.name,
        [helper.make_tensor_value_info("images", kind, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, sides) for name, _, sides in outputs],
        graph.weights,
    )
    proto = helper.make_model(
        made, producer_name="resnext", opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    helper.set_model_props(proto, description.to_metadata())
    checker.check_model(proto, full_check=True)
    return proto.SerializeToString()


def _normalised(graph, preprocessing: Preprocessing) -> str:
    """Add the steps from uint8 (batch, height, width, n) to normalised float32 (batch, channels, height, width)."""
    from onnx import TensorProto

    scale, offset = (values.astype(np.float32).reshape(1, -1, 1, 1) for values in preprocessing.scale_and_offset())
    numbers = graph.node("Cast", ["images"], "images/float", to=TensorProto.FLOAT)
    turned = graph.node("Transpose", [numbers], "images/channels_first", perm=[0, 3, 1, 2])
    if preprocessing.channels == "grey":
        shares = graph.weight(np.array(LUMA, np.float32).reshape(1, 3, 1, 1), "normalise/luma")
        turned = graph.node("Conv", [turned, shares], "images/grey", kernel_shape=[1, 1])
    scaled = graph.node("Mul", [turned, graph.weight(scale, "normalise/scale")], "normalise/scaled")
    return graph.node("Add", [scaled, graph.weight(offset, "normalise/offset")], "normalise")


def _maps(graph, kernel: np.ndarray, features: str) -> str:
    """Add class activation maps: the head's kernel at each position."""
    weight = graph.weight(np.asarray(kernel, np.float32).T[:, :, None, None], "maps/kernel")
    return graph.node("Conv", [features, weight], "maps", kernel_shape=[1, 1])
