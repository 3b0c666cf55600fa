"""Exported files in their own runtimes: the probabilities of the network, its classes, and nothing half written."""

import dataclasses
import importlib.util
import json
import math
import re
import shutil
import signal
import time

import keras
import numpy as np
import pytest
from commands import Command
from conftest import refusal, resnext
from safetensors.numpy import load_file

from resnext import Model, ResNeXt, convert, evaluate, explain, export, fold, get_variant, predict, save_weights
from resnext.errors import ArgumentError, ExportError, WeightsError
from resnext.exporting.calibration import Cost
from resnext.exporting.options import ExportOptions
from resnext.images.preprocessing import Preprocessing
from resnext.inference.options import EvaluationOptions

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from resnext.engines.onnx_graph import IR_VERSION, OPSET, Graph, add_network  # noqa: E402 - needs onnx


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
    assert f"exported: {path}, with labels.txt\n" in process.stdout
    assert f"checked in its runtime on 12 images ({colours})" in process.stdout
    assert float(process.stdout.split()[-1]) < 1e-5
    assert process.stderr == ""
    assert process.returncode == 0
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
    message = "the exported file does not compute embeddings. Pass the model it was exported from."
    assert message in refusal(resnext("predict", path, colours, "--embeddings", path.with_name("x.npy")))
    assert "the exported file does not compute other sizes. Pass the model it was exported from." in refusal(
        resnext("evaluate", path, colours / "test", "--size", 64)
    )
    twice = evaluate(path, colours / "test", options=EvaluationOptions(size=(32, 32)))
    np.testing.assert_allclose(twice.losses, other.losses, atol=1e-6)
    assert "the exported file does not compute other sizes. Pass the model it was exported from." in refusal(
        resnext("evaluate", path, colours / "test", "--size", 32, 64)
    )


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
    (by_file,) = explain(tmp_path / "a.onnx", file, class_name="red")
    np.testing.assert_allclose(by_file.map, given.map, atol=1e-3)
    export(trained[0], tmp_path / "without.onnx")
    with pytest.raises(ArgumentError, match=r"without\.onnx: the exported file does not compute maps\. Pass the model"):
        explain(tmp_path / "without.onnx", file)
    (prediction,) = predict(tmp_path / "a.onnx", file)
    assert dict(prediction.classes)["red"] == pytest.approx(probabilities[0, 2], abs=1e-5)


@pytest.mark.once
def test_a_file_that_computes_something_else_is_not_kept(trained, tmp_path, monkeypatch):
    """What was there before stays, and nothing is left of the other."""
    path = tmp_path / "a.onnx"
    path.write_bytes(b"what was there before")
    original = Graph.weight

    def damaged(self, values, name):
        return original(self, -values if name == "predictions/kernel" else values, name)

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

    def saved(**changes):
        model = onnx.load(path)
        kept = {entry.key: changes.get(entry.key, entry.value) for entry in model.metadata_props}
        del model.metadata_props[:]
        onnx.helper.set_model_props(model, {} if changes == {"all": None} else kept)
        onnx.save(model, tmp_path / "other.onnx")
        return tmp_path / "other.onnx"

    for damage in ({"classes": '["a", "a"]'}, {"classes": "3"}, {"input": '"int4"'}, {"variant": "{}"}):
        with pytest.raises(WeightsError, match="its description is damaged"):
            Model.open(saved(**damage))
    for other in ({"preprocessing": json.dumps(Preprocessing(48, 48).to_json())}, {"classes": '["a", "b"]'}):
        with pytest.raises(WeightsError, match=r"its network takes images \[32, 32, 3\] and returns \[3\] prob"):
            Model.open(saved(**other))
    with pytest.raises(WeightsError, match=r"was not exported by resnext \(it has no input\)"):
        Model.open(saved(all=None))
    missing = refusal(resnext("predict", tmp_path / "no.onnx", "x.png"))
    assert "no such model" in missing


@pytest.mark.once
def test_places_that_cannot_be_written_are_refused(trained, tmp_path):
    folder, _ = trained
    assert refusal(resnext("export", folder, "--out", tmp_path / "a.pb")) == (
        f"{tmp_path / 'a.pb'}: the suffix names no format. Use .onnx, .xml, .tflite, .pt2, or pass --format for a "
        "folder."
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


def test_every_engine_gives_the_same_answers(trained, colours, tmp_path):
    """Keras, ONNX Runtime and OpenVINO, for a run and at another size of its images."""
    folder, _ = trained
    expected = {size: evaluate(folder, colours, options=EvaluationOptions(size=size)) for size in ((), (48,))}
    for engine in ("onnxruntime", "openvino"):
        pytest.importorskip(engine)
        for size, by_keras in expected.items():
            given = evaluate(folder, colours, options=EvaluationOptions(size=size, engine=engine))
            np.testing.assert_allclose(given.losses, by_keras.losses, rtol=1e-4, atol=1e-4)
        process = resnext("predict", folder, colours / "test", "--engine", engine, "--top", 1)
        assert f"images/s ({engine})" in process.stderr
        assert process.stdout.count(" red\n") == 4
    if importlib.util.find_spec("openvino"):
        given = evaluate(folder, colours, options=EvaluationOptions(engine="openvino-bfloat16"))
        np.testing.assert_allclose(given.losses, expected[()].losses, atol=0.1)
    message = "embeddings are computed by Keras, not by onnxruntime. Leave --engine out."
    arguments = ("--engine", "onnxruntime", "--embeddings", tmp_path / "x.npy")
    assert refusal(resnext("predict", folder, colours, *arguments)) == message


@pytest.mark.once
def test_many_images_are_computed_by_the_fastest_engine_that_is_installed(trained, exported, monkeypatch):
    model = Model.open(trained[0])
    cases = [("onnx onnxruntime openvino", "openvino"), ("onnx onnxruntime", "onnxruntime"), ("openvino", "keras")]
    for words, expected in (*cases, ("", "keras")):
        installed = words.split()
        monkeypatch.setattr("importlib.util.find_spec", lambda name, installed=installed: name in installed or None)
        assert model.with_engine(None, images=500).engine_name == model.with_engine(None).engine_name == expected
        assert model.with_engine(None, images=499).engine_name == "keras"
        if not installed:
            with pytest.raises(ImportError, match=r"^--engine openvino needs the package openvino: pip install 'res"):
                model.with_engine("openvino")
    monkeypatch.undo()
    with pytest.raises(
        ArgumentError, match=r"`engine` must be one of openvino, onnxruntime, keras, openvino-bf.*\. Rec.*'tpu'"
    ):
        model.with_engine("tpu")
    with pytest.raises(ArgumentError, match=r"an exported file runs in its own runtime\. Leave --engine out\."):
        Model.open(exported[0]).with_engine("keras")


@pytest.mark.once
def test_openvino_has_its_own_format(trained, colours, tmp_path):
    openvino = pytest.importorskip("openvino")
    process = resnext("export", trained[0], "--out", tmp_path / "a.xml")
    assert process.returncode == 0, process.stderr
    assert {entry.name for entry in tmp_path.iterdir()} == {"a.xml", "a.bin", "labels.txt"}
    network = openvino.Core().compile_model(tmp_path / "a.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    file = colours / "test" / "red" / "000.png"
    image = Model.open(trained[0]).preprocessing.load(file)[None]
    (prediction,) = predict(tmp_path / "a.xml", file)
    given = dict(zip(("blue", "green", "red"), network({"images": image})["probabilities"][0].tolist(), strict=True))
    assert dict(prediction.classes) == pytest.approx(given, abs=1e-5)
    (tmp_path / "a.bin").write_bytes((tmp_path / "a.bin").read_bytes()[:1000])
    with pytest.raises(WeightsError, match=r"OpenVINO can't open it .*\. Export it again\."):
        Model.open(tmp_path / "a.xml")
    (tmp_path / "b.xml").write_text("<net/>")
    with pytest.raises(WeightsError, match=r"OpenVINO can't open it"):
        Model.open(tmp_path / "b.xml")


@pytest.mark.parametrize("fit", ["crop", "squash"])
def test_a_bundle_is_a_model_and_what_timm_reads(trained, colours, tmp_path, fit):
    """The layout of timm's folders: its names and shapes, architecture with arguments, classes, preprocessing."""
    shutil.copytree(trained[0], tmp_path / "run")
    document = json.loads((tmp_path / "run" / "config.json").read_text())
    document["preprocessing"] |= {"fit": fit, "resize": 37}
    (tmp_path / "run" / "config.json").write_text(json.dumps(document))
    process = resnext("export", tmp_path / "run", "--format", "bundle", "--out", tmp_path / "bundle")
    assert process.returncode == 0, process.stderr
    bundle = tmp_path / "bundle"
    assert {path.name for path in bundle.iterdir()} == {"model.safetensors", "config.json", "labels.txt", "README.md"}
    config = json.loads((bundle / "config.json").read_text())
    assert config["architecture"] == "resnext50_32x4d"
    assert config["model_args"] == {"layers": [1, 1, 1, 1], "cardinality": 2, "base_width": 4}
    assert config["label_names"] == ["blue", "green", "red"]
    assert config["pretrained_cfg"]["input_size"] == [3, 32, 32]
    assert math.floor(32 / config["pretrained_cfg"]["crop_pct"]) == 37
    assert load_file(bundle / "model.safetensors")["layer1.0.conv2.weight"].shape == (8, 4, 3, 3)
    model, given = Model.open(bundle), Model.open(tmp_path / "run")
    assert (model.classes, model.variant, model.preprocessing) == (given.classes, given.variant, given.preprocessing)
    np.testing.assert_allclose(
        evaluate(bundle, colours / "test").losses, evaluate(tmp_path / "run", colours).losses, atol=1e-4
    )
    card = (bundle / "README.md").read_text()
    for words in (
        "library_name: timm",
        "3: blue, green, red",
        "Recipe `photos`: 6 epochs",
        "72 images",
        "On 12 images",
    ):
        assert words in card
    assert refusal(resnext("export", trained[0], "--format", "bundle", "--out", bundle)) == (
        f"{bundle}: exists already. Pass a new folder."
    )


@pytest.mark.once
@pytest.mark.parametrize("name", ["seresnextaa14d_2x4d", "resnext26t_2x4d", "resnet10", "ecaresnext14_2x4d"])
def test_a_bundle_of_any_family_is_the_same_network(tmp_path, name):
    """What leaves no trace in the weights, such as anti-aliasing, is in the configuration."""
    network = with_random_statistics(ResNeXt(name, input_shape=(64, 64, 3), classes=3))
    network.class_names, network.preprocessing = ["a", "b", "c"], Preprocessing(64, 72)
    save_weights(network, tmp_path / "w.safetensors")
    done = export(name, tmp_path / "bundle", weights=str(tmp_path / "w.safetensors"), format="bundle")
    assert done.difference < 1e-5
    model = Model.open(tmp_path / "bundle")
    assert (model.variant, model.classes) == (get_variant(name), ("a", "b", "c"))


@pytest.mark.once
def test_timm_has_no_network_for_cifar(tmp_path):
    save_weights(ResNeXt("resnext29_2x16d", input_shape=(32, 32, 3), classes=3), tmp_path / "w.safetensors")
    with pytest.raises(ArgumentError, match=r"resnext29_2x16d: timm has no such network, so it can't be a bundle\."):
        export(tmp_path / "w.safetensors", tmp_path / "bundle", format="bundle")
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]


@pytest.mark.once
@pytest.mark.parametrize("name", ["a.onnx", "a.xml"])
def test_int8_is_calibrated_and_evaluated_on_the_images_of_the_run(trained, colours, tmp_path, name):
    if name.endswith(".xml"):
        pytest.importorskip("openvino")
    process = resnext(
        "export", trained[0], "--out", tmp_path / name, "--dtype", "int8", "--keep-ends", "--max-drop", 0.2
    )
    assert process.returncode == 0, process.stderr
    assert re.search(
        r"^int8: top-1 [\d.]+ % before, [\d.]+ % after, on 12 images; calibrated by minmax on 72$", process.stdout, re.M
    )
    assert {path.name for path in tmp_path.iterdir()} == {name, "labels.txt", *(["a.bin"] if name == "a.xml" else [])}
    export(trained[0], tmp_path / f"float{name[1:]}")
    size = {path.stem: path.stat().st_size for path in tmp_path.iterdir() if path.suffix in (".onnx", ".bin")}
    assert size["a"] < 0.45 * size["float"]
    model = Model.open(tmp_path / name)
    assert model.file.description.facts["quantisation"]["calibration"] == "minmax"
    given, before = evaluate(tmp_path / name, colours / "test"), evaluate(trained[0], colours)
    assert given.top(1) >= before.top(1) - 0.2
    assert 0 < np.abs(given.losses - before.losses).max() < 0.5


@pytest.mark.once
def test_int8_that_costs_too_much_is_refused(trained, colours, tmp_path, monkeypatch):
    path = tmp_path / "a.onnx"
    path.write_bytes(b"what was there before")
    worse = Cost(before=0.9, after=0.8, evaluated=12, calibrated=72)
    monkeypatch.setattr("resnext.exporting.export.cost_of", lambda *arguments: worse)
    message = r"in int8 top-1 falls from 90\.00 % to 80\.00 % on 12 images, by more than 1 points; it was not kept\."
    with pytest.raises(ExportError, match=message):
        export(trained[0], path, options=ExportOptions(dtype="int8"))
    assert path.read_bytes() == b"what was there before"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.onnx"]
    convert(trained[0], tmp_path / "w.safetensors")
    with pytest.raises(ArgumentError, match=r"float16 and int8 are evaluated on images\. Pass labelled ones"):
        export(tmp_path / "w.safetensors", tmp_path / "b.onnx", options=ExportOptions(dtype="int8"))
    with pytest.raises(ArgumentError, match=r"int8 takes uint8 images and has no maps\."):
        ExportOptions(dtype="int8", maps=True)
    with pytest.raises(ArgumentError, match=r"`max_drop` must be from 0 to 1\. Received: 2"):
        ExportOptions(max_drop=2)
    with pytest.raises(ArgumentError, match=r"a bundle has the weights as they are"):
        export(trained[0], tmp_path / "bundle", format="bundle", options=ExportOptions(maps=True))
