"""The ONNX graph of every family of networks, in ONNX Runtime."""

import dataclasses

import keras
import numpy as np
import pytest

from resnext import ResNeXt, fold, get_variant
from support.networks import with_random_statistics

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from resnext.engines.onnx_graph import IR_VERSION, OPSET, Graph, add_network  # noqa: E402 - needs onnx


def session_of(network, size):
    graph = Graph()
    (output,) = add_network(graph, network, "images")
    ends = [("images", ["batch", 3, size, size]), (output, ["batch", 5])]
    inputs, outputs = (
        [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)] for name, shape in ends
    )
    made = onnx.helper.make_graph(graph.nodes, "network", inputs, outputs, graph.weights)
    opset = [onnx.helper.make_opsetid("", OPSET)]
    model = onnx.helper.make_model(made, opset_imports=opset, ir_version=IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


PLAIN = "resnext14_2x4d"
FAMILIES = [
    (PLAIN, 64, "c", {}),
    (PLAIN, 65, "a", {}),
    (PLAIN, 64, "sliced", {}),
    ("seresnext14_2x4d", 65, "c", {}),
    ("ecaresnext14_2x4d", 64, "c", {}),
    ("legacy_seresnext14_2x4d", 63, "c", {}),
    ("seresnextaa14d_2x4d", 66, "c", {}),
    ("resnext26t_2x4d", 65, "c", {}),
    ("resnet18", 48, "c", {}),
    ("resnet20", 32, "c", {}),
    ("resnext29_2x16d", 32, "c", {}),
    (PLAIN, 64, "c", {"activation": "silu"}),
    (PLAIN, 64, "c", {"activation": "mish"}),
    (PLAIN, 64, "c", {"activation": "elu"}),
    (PLAIN, 64, "c", {"output_stride": 8}),
    (PLAIN, 64, "c", {"shortcut": "none"}),
    (PLAIN, 64, "c", {"drop_rate": 0.5, "drop_path": 0.1}),
]


@pytest.mark.once
@pytest.mark.parametrize(("name", "size", "form", "fields"), FAMILIES, ids=lambda value: str(value))
def test_graph_computes_what_the_network_does(name, size, form, fields):
    variant = dataclasses.replace(get_variant(name), **fields)
    network = ResNeXt(variant, input_shape=(size, size, 3), classes=5, classifier_activation=None, form=form)
    folded = fold(with_random_statistics(network))
    images = np.random.default_rng(1).normal(size=(3, size, size, 3)).astype(np.float32)
    (given,) = session_of(folded, size).run(None, {"images": images.transpose(0, 3, 1, 2)})
    expected = keras.ops.convert_to_numpy(folded(images))
    np.testing.assert_allclose(given, expected, atol=1e-5 * np.abs(expected).max())
