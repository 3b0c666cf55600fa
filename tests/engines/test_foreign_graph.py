"""Files that a runtime would not survive, or would compute nonsense with: refused before they run."""

import hashlib
import json
import shutil

import numpy as np
import pytest

from resnext import Model
from resnext.engines.foreign_graph import check_calls, check_finite, check_operations, check_sizes
from resnext.errors import WeightsError

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.once


def test_functions_that_call_themselves_are_found():
    check_calls({"a": ["b", "b", "other"], "b": ["c"], "c": []})
    with pytest.raises(ValueError, match=r"^its function a calls itself, or one that does$"):
        check_calls({"a": ["b"], "b": ["c"], "c": ["b"]})


def test_sizes_count_for_each_image():
    check_sizes([[10**9, 2**14, 2**14], [-1, None, 2**28], []])
    with pytest.raises(ValueError, match=r"^one of its tensors has 268,451,840 elements, more than 268,435,456$"):
        check_sizes([[1, 2**14, 2**14 + 1]])


def test_weights_are_finite_and_borders_need_not_be():
    check_finite([("pad/value", np.array(-np.inf)), ("shape", np.array([1, 2]))])
    with pytest.raises(ValueError, match=r"^w has values that are not finite$"):
        check_finite([("w", np.array([1, np.nan], np.float16))])
    with pytest.raises(ValueError, match=r"that resnext does not export: If, Loop$"):
        check_operations(["Conv", "Loop", "If"], "Conv Relu")


def with_initializer(model, change):
    """Change the first weight of a network."""
    weight = model.graph.initializer[0]
    values = onnx.numpy_helper.to_array(weight).copy()
    weight.CopyFrom(onnx.numpy_helper.from_array(change(values), weight.name))


def add_loop(model):
    body = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["go"], ["go_on"])],
        "body",
        [onnx.helper.make_tensor_value_info("i", onnx.TensorProto.INT64, []),
         onnx.helper.make_tensor_value_info("go", onnx.TensorProto.BOOL, [])],
        [onnx.helper.make_tensor_value_info("go_on", onnx.TensorProto.BOOL, [])],
    )  # fmt: skip
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(2**62), "rounds"))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(True), "true"))
    model.graph.node.append(onnx.helper.make_node("Loop", ["rounds", "true"], [], "loop", body=body))


def add_huge(model):
    shape = onnx.numpy_helper.from_array(np.array([200_000, 200_000]), "shape")
    model.graph.initializer.append(shape)
    model.graph.node.append(onnx.helper.make_node("ConstantOfShape", ["shape"], ["huge"], "huge"))


def add_padding(model):
    pads = onnx.numpy_helper.from_array(np.array([0, 0, 0, 0, 0, 0, 0, 2**30]), "pads")
    model.graph.initializer.append(pads)
    model.graph.node.append(onnx.helper.make_node("Pad", [model.graph.node[2].output[0], "pads"], ["wide"], "wide"))


def add_function(model):
    inner = onnx.helper.make_node("Identity", ["x"], ["y"])
    opsets = [onnx.helper.make_opsetid("", 17)]
    model.functions.append(onnx.helper.make_function("local", "Relu", ["x"], ["y"], [inner], opsets))
    model.opset_import.append(onnx.helper.make_opsetid("local", 1))


def keep_elsewhere(model):
    weight = model.graph.initializer[0]
    onnx.external_data_helper.set_external_data(weight, "/etc/passwd")
    weight.ClearField("raw_data")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (add_loop, "operations that resnext does not export: Loop"),
        (add_huge, "operations that resnext does not export: ConstantOfShape"),
        (add_padding, "one of its tensors has"),
        (add_function, "operations that resnext does not export"),
        (keep_elsewhere, "its weights are in other files"),
        (lambda model: with_initializer(model, lambda values: values * np.float32(np.nan)), "not finite"),
    ],
)
def test_an_onnx_file_does_only_what_ours_do(exported, tmp_path, change, words):
    model = onnx.load(exported[0])
    change(model)
    kept = {entry.key: entry.value for entry in model.metadata_props if entry.key not in ("sha256", "length")}
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, kept)
    (tmp_path / "a.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(WeightsError, match=rf"ONNX Runtime can't open it \(.*{words}"):
        Model.open(tmp_path / "a.onnx")


def test_an_openvino_file_has_finite_weights(exported_as, tmp_path):
    folder = shutil.copytree(exported_as("openvino").parent, tmp_path / "copy")
    content = bytearray((folder / "a.bin").read_bytes())
    before = hashlib.sha256(content).hexdigest()
    content[4000:4400] = b"\xff" * 400
    (folder / "a.bin").write_bytes(content)
    text = (folder / "a.xml").read_text()
    assert before in text
    (folder / "a.xml").write_text(text.replace(before, hashlib.sha256(content).hexdigest()))
    with pytest.raises(WeightsError, match=r"OpenVINO can't open it \(\S+ has values that are not finite\)"):
        Model.open(folder / "a.xml")


def call_itself(model):
    for function in model.meta_graphs[0].graph_def.library.function:  # not all of them are used
        node = function.node_def.add(name="again", op="PartitionedCall")
        node.attr["f"].func.name = function.signature.name


def spoil(model):
    from tensorflow import make_ndarray, make_tensor_proto

    graph = model.meta_graphs[0].graph_def
    nodes = [node for function in graph.library.function for node in function.node_def if node.op == "Const"]
    largest = max(nodes, key=lambda node: make_ndarray(node.attr["value"].tensor).size)
    values = make_ndarray(largest.attr["value"].tensor)
    largest.attr["value"].tensor.CopyFrom(make_tensor_proto(np.full_like(values, np.nan)))


@pytest.mark.parametrize(
    ("change", "words"), [(call_itself, "its function .* calls itself, or one that does"), (spoil, ".* not finite")]
)
def test_a_saved_model_does_only_what_ours_do(exported_as, tmp_path, change, words):
    pytest.importorskip("tensorflow")
    from tensorflow.core.protobuf import saved_model_pb2

    folder = shutil.copytree(exported_as("saved_model"), tmp_path / "copy")
    model = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    change(model)
    (folder / "saved_model.pb").write_bytes(model.SerializeToString())
    description = folder / "assets.extra" / "resnext.json"
    known = json.loads(description.read_text())
    del known["sha256"]
    description.write_text(json.dumps(known))
    with pytest.raises(WeightsError, match=rf"TensorFlow can't open it \({words}"):
        Model.open(folder)


def test_a_graph_that_fails_when_it_runs_is_one_line(exported, monkeypatch):
    def fail(*_):
        raise RuntimeError("no kernel\nfor node 3")

    (engine,) = Model.open(exported[0]).engines()
    monkeypatch.setattr(engine, "run", fail)
    with pytest.raises(WeightsError, match=r"colours.onnx: ONNX Runtime can't compute it \(no kernel for node 3\)"):
        engine.outputs(np.zeros((1, 32, 32, 3), np.uint8))
