"""Exported files in their own runtimes: the probabilities of the network, its classes, and nothing half written."""

import dataclasses
import json
import signal
import time

import keras
import numpy as np
import pytest
from commands import Command
from conftest import refusal, resnext

from resnext import Model, ResNeXt, evaluate, explain, export, fold, get_variant, predict
from resnext.errors import ArgumentError, ExportError, WeightsError
from resnext.exporting.options import ExportOptions
from resnext.images.preprocessing import Preprocessing

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from resnext.exporting.onnx_graph import IR_VERSION, OPSET, Graph, add_network  # noqa: E402 - needs onnx


def with_random_statistics(network):
    rng = np.random.default_rng(0)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in layer.get_weights()])
    return network


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


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    """That run in ONNX, and what the command printed."""
    path = tmp_path_factory.mktemp("exported") / "colours.onnx"
    process = resnext("export", trained[0], "--out", path)
    assert process.returncode == 0, process.stderr
    return path, process


def test_file_answers_as_the_network_does(trained, colours, exported):
    """In plain ONNX Runtime: uint8 images of any number in, probabilities out; classes and the rest in the metadata."""
    path, process = exported
    assert f"exported: {path} (" in process.stdout
    assert f"checked in its runtime on 17 images ({colours})" in process.stdout
    assert float(process.stdout.split()[-1]) < 1e-5
    assert process.stderr == ""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["classes"]) == ["blue", "green", "red"]
    assert Preprocessing.from_json(json.loads(metadata["preprocessing"])) == Model.open(trained[0]).preprocessing
    assert json.loads(metadata["recipe"]) == "photos"
    assert json.loads(metadata["versions"])["backend"] == keras.backend.backend()
    assert path.with_name("labels.txt").read_text() == "blue\ngreen\nred\n"
    assert {entry.name for entry in path.parent.iterdir()} == {"colours.onnx", "labels.txt"}
    files = sorted((colours / "test").glob("*/*.png"))
    images = np.stack([Model.open(trained[0]).preprocessing.load(file) for file in files])
    expected = [dict(each.classes) for each in predict(trained[0], files)]
    for batch in (1, 3, 12):
        (given,) = session.run(None, {"images": images[:batch]})
        np.testing.assert_allclose(given.sum(axis=1), 1, atol=1e-6)
        for row, classes in zip(given, expected, strict=False):
            assert dict(zip(("blue", "green", "red"), row.tolist(), strict=True)) == pytest.approx(classes, abs=1e-4)


def test_file_is_a_model_for_evaluate_and_predict(trained, colours, exported):
    path, _ = exported
    one, other = evaluate(trained[0], colours), evaluate(path, colours / "test")
    np.testing.assert_allclose(other.losses, one.losses, atol=1e-4)
    assert (other.predicted == one.predicted).all()
    process = resnext("predict", path, colours / "test" / "red", "--top", 1)
    assert process.stdout.count(" red\n") == 4
    message = "for embeddings and maps pass the model that it was exported from."
    assert message in refusal(resnext("predict", path, colours, "--embeddings", path.with_name("x.npy")))
    assert "for other sizes pass the model" in refusal(resnext("evaluate", path, colours / "test", "--size", 64))


def test_normalisation_outside_and_maps(trained, colours, tmp_path):
    options = ExportOptions(normalisation="outside", maps=True)
    done = export(trained[0], tmp_path / "a.onnx", options=options, images=colours / "test")
    assert done.difference < 1e-5
    assert done.source == str(colours / "test")
    model = Model.open(trained[0])
    file = colours / "test" / "red" / "000.png"
    image = (model.preprocessing.load(file) / 255 - model.preprocessing.mean) / model.preprocessing.std
    session = onnxruntime.InferenceSession(tmp_path / "a.onnx", providers=["CPUExecutionProvider"])
    probabilities, maps = session.run(None, {"images": image.astype(np.float32).transpose(2, 0, 1)[None]})
    (given,) = explain(model, file, class_name="red")
    np.testing.assert_allclose(maps[0, 2], given.map, atol=1e-3)
    (prediction,) = predict(tmp_path / "a.onnx", file)
    assert dict(prediction.classes)["red"] == pytest.approx(probabilities[0, 2], abs=1e-5)


@pytest.mark.once
def test_a_file_that_computes_something_else_is_not_kept(trained, tmp_path, monkeypatch):
    """What was there before stays, and nothing is left of the other."""
    path = tmp_path / "a.onnx"
    path.write_bytes(b"what was there before")
    original = Graph.weight

    def damaged(self, values, name):
        return original(self, values * 1.01 if name == "predictions/kernel" else values, name)

    monkeypatch.setattr(Graph, "weight", damaged)
    with pytest.raises(ExportError, match=r"its probabilities differ from the network's by up to .*; it was not kept"):
        export(trained[0], path)
    assert path.read_bytes() == b"what was there before"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.onnx"]


@pytest.mark.once
@pytest.mark.parametrize(("fault", "status"), [("SIGTERM", 143), ("SIGINT", 130), ("deaf", 143)])
def test_an_interrupted_export_leaves_nothing(trained, tmp_path, fault, status):
    """Also where a signal comes while compiled code runs, and Python's own cleaning up does not."""
    place = "resnext.exporting.export:largest_difference"
    command = Command("export", trained[0], "--out", tmp_path / "a.onnx", fault=(place, 1, fault))
    if fault == "deaf":
        while not list(tmp_path.glob(".a.onnx.*/a.onnx")):
            time.sleep(0.05)
        command.send_signal(signal.SIGTERM)
    process = command.wait()
    assert process.returncode == status, process.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.once
def test_what_a_killed_export_left_is_removed_by_the_next(trained, tmp_path):
    (tmp_path / ".a.onnx.999999999").mkdir()
    (tmp_path / ".a.onnx.999999999" / "a.onnx").write_bytes(b"half")
    (tmp_path / ".a.onnx.old").mkdir()
    export(trained[0], tmp_path / "a.onnx")
    assert {entry.name for entry in tmp_path.iterdir()} == {"a.onnx", "labels.txt", ".a.onnx.old"}


@pytest.mark.once
def test_damaged_and_foreign_files_are_refused(exported, tmp_path):
    path, _ = exported
    content = path.read_bytes()
    for name, damaged in (("half", content[: len(content) // 2]), ("empty", b""), ("text", b"not a network")):
        file = tmp_path / f"{name}.onnx"
        file.write_bytes(damaged)
        with pytest.raises(WeightsError, match=r"ONNX Runtime can't open it .*\. Export it again\."):
            Model.open(file)
    model = onnx.load(path)

    def saved(**changes):
        for entry in model.metadata_props:
            entry.value = changes.get(entry.key, entry.value)
        onnx.save(model, tmp_path / "other.onnx")
        return tmp_path / "other.onnx"

    for damage in ({"classes": '["a", "a"]'}, {"classes": "3"}, {"input": '"int4"'}, {"variant": "{}"}):
        with pytest.raises(WeightsError, match="its description is damaged"):
            Model.open(saved(**damage))
    del model.metadata_props[:]
    with pytest.raises(WeightsError, match=r"was not exported by resnext \(it has no input\)"):
        Model.open(saved())
    missing = refusal(resnext("predict", tmp_path / "no.onnx", "x.png"))
    assert "no such model" in missing


@pytest.mark.once
def test_places_that_cannot_be_written_are_refused(trained, tmp_path):
    folder, _ = trained
    assert refusal(resnext("export", folder, "--out", tmp_path / "a.pb")) == (
        f"{tmp_path / 'a.pb'}: the suffix names no format. Use .onnx, or pass --format."
    )
    with pytest.raises(ArgumentError, match=r"a\.pb: onnx files end in \.onnx\. Choose such a name\."):
        export(folder, tmp_path / "a.pb", format="onnx")
    with pytest.raises(ArgumentError, match=r"its folder does not exist\. Pass a file in an existing folder\."):
        export(folder, tmp_path / "no" / "a.onnx")
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    with pytest.raises(ArgumentError, match=r"labels\.txt: belongs to a network of other classes\. Choose another"):
        export(folder, tmp_path / "a.onnx")
    with pytest.raises(ArgumentError, match=r"`normalisation` must be one of inside, outside\. Received: 'both'"):
        ExportOptions(normalisation="both")
    with pytest.raises(ArgumentError, match=r"no image to compare on can be read\. Pass others\."):
        export(folder, tmp_path.parent / "b.onnx", images=tmp_path)
