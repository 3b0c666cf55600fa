"""Exported files as models: damaged and changed ones are refused, and no loss is infinite."""

import shutil

import numpy as np
import pytest

from resnext import Model, ResNeXt, export, save_weights
from resnext.errors import WeightsError
from resnext.images.preprocessing import Preprocessing
from support.exports import NAMES

pytest.importorskip("onnx")


@pytest.mark.once
def test_damaged_files_are_refused(exported_as, tmp_path):
    content = exported_as("litert").read_bytes()
    for damaged, words in ((content[: len(content) // 2], "LiteRT can't open it"), (b"text", "LiteRT can't open it")):
        (tmp_path / "b.tflite").write_bytes(damaged)
        with pytest.raises(WeightsError, match=words):
            Model.open(tmp_path / "b.tflite")
    (tmp_path / "b.tflite").write_bytes(content[: content.rindex(b"PK\x03\x04") - 500])
    with pytest.raises(WeightsError, match=r"was not exported by resnext \(it has no input\)"):
        Model.open(tmp_path / "b.tflite")
    graph = shutil.copytree(exported_as("saved_model"), tmp_path / "a") / "saved_model.pb"
    graph.write_bytes(graph.read_bytes()[:1000])
    with pytest.raises(WeightsError, match=r"TensorFlow can't open it .*\. Export it again\."):
        Model.open(tmp_path / "a")


@pytest.mark.once
def test_no_loss_is_infinite(tmp_path):
    """Where a probability is too small for float32, engines have the logit, and files the smallest number there is."""
    network = ResNeXt("resnext14_2x4d", input_shape=(32, 32, 3), classes=2, classifier_activation=None)
    head = network.get_layer("predictions")
    head.set_weights([np.zeros_like(head.get_weights()[0]), np.array([0, -150], np.float32)])
    network.class_names, network.preprocessing = ["a", "b"], Preprocessing(32, 32)
    save_weights(network, tmp_path / "w.safetensors")
    model, images = Model.open(tmp_path / "w.safetensors"), np.zeros((1, 32, 32, 3), np.uint8)
    pytest.importorskip("onnxruntime")
    (engine,) = model.with_engine("onnxruntime").engines()
    np.testing.assert_allclose(engine.outputs(images).logits, [[0, -150]], atol=1e-5)
    export(model, tmp_path / "a.onnx")
    (file,) = Model.open(tmp_path / "a.onnx").engines()
    np.testing.assert_allclose(file.outputs(images).logits, [[0, -87.33655]], atol=1e-4)


@pytest.mark.once
@pytest.mark.parametrize(
    ("format", "weights"),
    [("onnx", "a.onnx"), ("openvino", "a.bin"), ("litert", "a.tflite"), ("saved_model", "a/saved_model.pb"),
     ("bundle", "bundle/model.safetensors")],
)  # fmt: skip
def test_no_changed_weight_is_used(exported_as, tmp_path, format, weights):
    """Zeros in the middle of the weights, which every runtime would compute with."""
    folder = shutil.copytree(exported_as(format).parent, tmp_path / "copy")
    path, file = folder / NAMES[format], folder / weights
    assert Model.open(path).classes == ("blue", "green", "red")
    content = bytearray(file.read_bytes())
    place = len(content) // 2
    content[place : place + 64] = bytes(64)
    file.write_bytes(content)
    with pytest.raises(WeightsError, match=r"damaged"):
        Model.open(path).engines()
