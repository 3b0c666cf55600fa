"""Every format of an export in the runtime that it is for, without resnext; and the files of others, refused."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import keras
import numpy as np
import pytest
from conftest import REPOSITORY, refusal, resnext

from resnext import Model, ResNeXt, evaluate, explain, export, predict, save_weights
from resnext.errors import ArgumentError, ExportError, WeightsError
from resnext.exporting import formats
from resnext.exporting.calibration import Cost
from resnext.exporting.formats import writer_of
from resnext.exporting.options import FORMATS, ExportFormat, ExportOptions
from resnext.images.preprocessing import Preprocessing
from resnext.inference.options import EvaluationOptions

pytest.importorskip("onnx")

OUTSIDE = ExportOptions(normalisation="outside", maps=True)
NAMES = {"saved_model": "a", "litert": "a.tflite", "torch": "a.pt2"}
HERE = [format for format in NAMES if FORMATS[format].backend == keras.backend.backend()]
MODELS = [format for format in HERE if format != "torch"]


def run_saved_model(path, images):
    tensorflow = pytest.importorskip("tensorflow")
    serve = tensorflow.saved_model.load(str(path)).signatures["serving_default"]
    return {name: value.numpy() for name, value in serve(images=tensorflow.constant(images)).items()}


def run_litert(path, images):
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    return interpreter.Interpreter(str(path)).get_signature_runner()(images=images)


def run_torch(path, images):
    torch = pytest.importorskip("torch")
    return {name: value.numpy() for name, value in torch.export.load(path).module()(torch.from_numpy(images)).items()}


RUN = {"saved_model": run_saved_model, "litert": run_litert, "torch": run_torch}


def photos(colours):
    return sorted((colours / "test").glob("*/*.png"))


def made_here(trained, path, format, options=ExportOptions()):  # noqa: B008 - frozen
    if format == "litert":
        pytest.importorskip("ai_edge_litert")
    return export(trained[0], path, format=format, options=options)


@pytest.mark.parametrize("format", HERE)
def test_its_own_runtime_gives_the_probabilities_of_the_network(trained, colours, tmp_path, format):
    path = tmp_path / NAMES[format]
    done = made_here(trained, path, format)
    assert done.difference < 1e-5
    assert done.source == str(colours)
    model = Model.open(trained[0])
    images = np.stack([model.preprocessing.load(file) for file in photos(colours)])
    expected = [[dict(each.classes)[name] for name in model.classes] for each in predict(model, photos(colours))]
    for batch in (1, 5):
        np.testing.assert_allclose(RUN[format](path, images[:batch])["probabilities"], expected[:batch], atol=1e-4)
    labels = path / "labels.txt" if path.is_dir() else path.with_name("labels.txt")
    assert labels.read_text() == "blue\ngreen\nred\n"
    written = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    assert not any(str(REPOSITORY).encode() in each.read_bytes() for each in written)
    assert {entry.name for entry in tmp_path.iterdir()} == {path.name, *(["labels.txt"] if path.is_file() else [])}


@pytest.mark.parametrize("format", HERE)
def test_normalisation_outside_and_maps(trained, colours, tmp_path, format):
    """Channels are where the runtime has them: first in PyTorch, last in TensorFlow."""
    path, file = tmp_path / NAMES[format], photos(colours)[0]
    made_here(trained, path, format, OUTSIDE)
    model = Model.open(trained[0])
    image = (model.preprocessing.load(file) / 255 - model.preprocessing.mean) / model.preprocessing.std
    image = image.astype(np.float32)[None]
    outputs = RUN[format](path, image.transpose(0, 3, 1, 2) if format == "torch" else image)
    maps = outputs["maps"][0] if format == "torch" else outputs["maps"][0].transpose(2, 0, 1)
    (given,) = explain(model, file, class_name="red")
    np.testing.assert_allclose(maps[2], given.map, atol=1e-3)
    (prediction,) = predict(model, file)
    assert dict(prediction.classes)["red"] == pytest.approx(outputs["probabilities"][0, 2], abs=1e-4)


@pytest.mark.skipif(not MODELS, reason="TensorFlow writes the files that are models")
@pytest.mark.parametrize("format", MODELS)
def test_a_file_is_a_model(trained, colours, tmp_path, format):
    path = tmp_path / NAMES[format]
    made_here(trained, path, format)
    one, other = evaluate(trained[0], colours), evaluate(path, colours / "test")
    np.testing.assert_allclose(other.losses, one.losses, atol=1e-4)
    made_here(trained, tmp_path / f"outside-{path.name}", format, ExportOptions(normalisation="outside"))
    again = evaluate(tmp_path / f"outside-{path.name}", colours / "test")
    np.testing.assert_allclose(again.losses, one.losses, atol=1e-4)
    with pytest.raises(ArgumentError, match=r"the exported file does not compute other sizes\. Pass the model it was"):
        evaluate(path, colours / "test", options=EvaluationOptions(size=(64,)))


@pytest.mark.once
def test_the_command_takes_the_backend_that_writes_a_format(trained, tmp_path):
    """A file of PyTorch's program is for others: opening one would run what is pickled in it."""
    pytest.importorskip("torch")
    path = tmp_path / "a.pt2"
    command = [sys.executable, "-m", "resnext", "export", trained[0], "--out", path]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "KERAS_BACKEND": "jax"})
    assert refusal(resnext("predict", path, "x.png")) == (
        f"{path}: PyTorch runs what is pickled in such a file, so resnext opens none. Pass the model that it was "
        "exported from, or export to .onnx."
    )
    program = (
        "import sys, torch, numpy; files = {'labels.txt': '', 'resnext.json': ''};"
        "network = torch.export.load(sys.argv[1], extra_files=files).module();"
        "images = torch.zeros(4, 32, 32, 3, dtype=torch.uint8);"
        "print(files['labels.txt'].split(), network(images)['probabilities'].shape)"
    )
    command = [sys.executable, "-c", program, path]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    assert printed == "['blue', 'green', 'red'] torch.Size([4, 3])\n"


@pytest.mark.once
def test_another_backend_or_a_missing_package_is_refused(trained, tmp_path, monkeypatch):
    pytest.importorskip("torch")
    with pytest.raises(
        ArgumentError, match=r"^torch is written by torch, and Keras computes with tensorflow here\. Use"
    ):
        export(trained[0], tmp_path / "a.pt2")
    for format, package, extra in (("litert", "ai_edge_litert", "litert"), ("torch", "torch", "torch")):
        with monkeypatch.context() as patch:
            patch.setattr("importlib.util.find_spec", lambda name, package=package: None if name == package else True)
            words = f"export to {format} needs the package {package.replace('_', '-')}: pip install 'resnext[{extra}]'"
            with pytest.raises(ImportError, match=re.escape(words)):
                export(trained[0], tmp_path / NAMES[format])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.once
def test_a_saved_model_that_does_more_than_compute_is_not_run(trained, tmp_path):
    """TensorFlow's graphs can write files; those of resnext have no such operation, and no other is run."""
    import tensorflow as tf

    made_here(trained, tmp_path / "good", "saved_model")

    class Hostile(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, 32, 32, 3), tf.uint8, name="images")])
        def serve(self, images):
            with tf.control_dependencies([tf.io.write_file(str(tmp_path / "written"), "by the network")]):
                return {"probabilities": tf.zeros((tf.shape(images)[0], 3))}

    module = Hostile()
    tf.saved_model.save(module, str(tmp_path / "bad"), signatures=module.serve)
    shutil.copytree(tmp_path / "good" / "assets.extra", tmp_path / "bad" / "assets.extra")
    with pytest.raises(
        WeightsError, match=r"its graph has operations of other networks or programs: Fill?,? ?WriteFile"
    ):
        Model.open(tmp_path / "bad")
    assert not (tmp_path / "written").exists()


@pytest.mark.once
def test_damaged_files_are_refused(trained, tmp_path):
    pytest.importorskip("ai_edge_litert")
    made_here(trained, tmp_path / "a", "saved_model")
    made_here(trained, tmp_path / "a.tflite", "litert")
    content = (tmp_path / "a.tflite").read_bytes()
    for damaged, words in ((content[: len(content) // 2], "LiteRT can't open it"), (b"text", "LiteRT can't open it")):
        (tmp_path / "b.tflite").write_bytes(damaged)
        with pytest.raises(WeightsError, match=words):
            Model.open(tmp_path / "b.tflite")
    (tmp_path / "b.tflite").write_bytes(content[: content.rindex(b"PK\x03\x04") - 500])
    with pytest.raises(WeightsError, match=r"was not exported by resnext \(it has no input\)"):
        Model.open(tmp_path / "b.tflite")
    graph = tmp_path / "a" / "saved_model.pb"
    graph.write_bytes(graph.read_bytes()[:1000])
    with pytest.raises(WeightsError, match=r"TensorFlow can't open it .*\. Export it again\."):
        Model.open(tmp_path / "a")


@pytest.mark.once
def test_a_repository_for_triton(trained, colours, tmp_path):
    """The configuration was also read by Triton's own `ModelConfig` (docs/decisions.md)."""
    export(trained[0], tmp_path / "models", format="triton", options=ExportOptions(maps=True))
    folder = tmp_path / "models" / "colours"
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == {
        "config.pbtxt", "labels.txt", "1/model.onnx"}  # fmt: skip
    assert "".join((folder / "config.pbtxt").read_text().split()) == (
        'name:"colours"backend:"onnxruntime"max_batch_size:64'
        'input[{name:"images"data_type:TYPE_UINT8dims:[32,32,3]}]'
        'output[{name:"probabilities"data_type:TYPE_FP32dims:[3]label_filename:"labels.txt"}]'
        'output[{name:"maps"data_type:TYPE_FP32dims:[3,-1,-1]}]'
        "dynamic_batching{}"
    )
    given = evaluate(folder / "1" / "model.onnx", colours / "test").losses
    np.testing.assert_allclose(given, evaluate(trained[0], colours).losses, atol=1e-4)
    with pytest.raises(ArgumentError, match=r"models: exists already\. Pass a new folder\."):
        export(trained[0], tmp_path / "models", format="triton")


@pytest.mark.once
def test_a_repository_for_openvino_model_server(trained, colours, tmp_path):
    pytest.importorskip("openvino")
    options = ExportOptions(dtype="int8", max_drop=1)
    done = export(trained[0], tmp_path / "models", format="ovms", options=options)
    assert done.cost.evaluated == 12
    document = json.loads((tmp_path / "models" / "config.json").read_text())
    assert document == {"model_config_list": [{"config": {"name": "colours", "base_path": "colours"}}]}
    files = {path.name for path in (tmp_path / "models" / "colours").rglob("*") if path.is_file()}
    assert files == {"model.xml", "model.bin", "labels.txt"}
    assert {path.name for path in (tmp_path / "models").iterdir()} == {"config.json", "colours"}
    assert Model.open(tmp_path / "models" / "colours" / "1" / "model.xml").classes == ("blue", "green", "red")


@pytest.mark.once
@pytest.mark.parametrize("name", ["a.onnx", "a.xml"])
def test_half_precision_halves_the_size(trained, colours, tmp_path, name):
    if name.endswith(".xml"):
        pytest.importorskip("openvino")
    process = resnext("export", trained[0], "--out", tmp_path / name, "--dtype", "float16")
    assert process.returncode == 0, process.stderr
    assert re.search(r"^float16: top-1 [\d.]+ % before, [\d.]+ % after, on 12 images$", process.stdout, re.M)
    export(trained[0], tmp_path / f"float{name[1:]}")
    size = {path.stem: path.stat().st_size for path in tmp_path.iterdir() if path.suffix in (".onnx", ".bin")}
    assert size["a"] < 0.6 * size["float"]
    given, before = evaluate(tmp_path / name, colours / "test"), evaluate(trained[0], colours)
    assert 0 < np.abs(given.losses - before.losses).max() < 0.01


@pytest.mark.once
def test_half_precision_that_cannot_be_is_refused(trained, tmp_path, monkeypatch):
    half = ExportOptions(dtype="float16")
    worse = Cost(before=0.9, after=0.8, evaluated=12, calibrated=72)
    with monkeypatch.context() as patch:
        patch.setattr("resnext.exporting.export.cost_of", lambda *arguments: worse)
        message = r"in float16 top-1 falls from 90\.00 % to 80\.00 % on 12 images, .* Try a higher --max-drop\."
        with pytest.raises(ExportError, match=message):
            export(trained[0], tmp_path / "a.onnx", options=half)
    network = ResNeXt("resnext14_2x4d", input_shape=(32, 32, 3), classes=3)
    network.class_names, network.preprocessing = ["blue", "green", "red"], Preprocessing(32, 36)
    weights = network.get_layer("stem_conv").get_weights()
    network.get_layer("stem_conv").set_weights([np.full_like(weights[0], 1e6)])
    save_weights(network, tmp_path / "w.safetensors")
    with pytest.raises(
        ArgumentError, match=r"float16 and int8 are evaluated on images\. Pass labelled ones: --data DATA"
    ):
        export(tmp_path / "w.safetensors", tmp_path / "a.onnx", options=half)
    data = Model.open(trained[0]).run.config.data
    with pytest.raises(ExportError, match=r"has values above 65504, the largest in float16"):
        export(tmp_path / "w.safetensors", tmp_path / "a.onnx", options=half, data=data)
    with pytest.raises(
        ArgumentError, match=r"litert is in float32\. Leave --dtype out, or pass --format onnx, openvino"
    ):
        export(trained[0], tmp_path / "a.tflite", options=half)
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]


def with_config(trained, folder, **changes):
    """A copy of the run with another configuration."""
    shutil.copytree(trained[0], folder)
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return folder


@pytest.mark.once
def test_what_would_be_wrong_later_is_refused_at_once(trained, colours, tmp_path):
    lines = with_config(trained, tmp_path / "lines", classes=["a\nb", "green", "red"])
    with pytest.raises(ArgumentError, match=r"^the class 'a\\nb' has more than one line, and labels\.txt has a class"):
        export(lines, tmp_path / "a.onnx")
    (tmp_path / "p.bin").write_bytes(b"something else")
    with pytest.raises(ArgumentError, match=r"p\.bin: would be replaced, and is of something else\. Choose another"):
        export(trained[0], tmp_path / "p.xml")
    with pytest.raises(ArgumentError, match=r"^`out` is empty\. Pass a file to write, such as network\.onnx"):
        export(trained[0], "")
    with pytest.raises(ArgumentError, match=r"^labelled images are for --dtype float16 and int8\. To compare on"):
        export(trained[0], tmp_path / "a.onnx", data=colours)
    for useless in ({"calibration": "entropy"}, {"keep_ends": True, "dtype": "float16"}):
        with pytest.raises(ArgumentError, match=r"^--calibration and --keep-ends are for --dtype int8\. Leave them"):
            ExportOptions(**useless)
    gone = with_config(trained, tmp_path / "gone", data=str(tmp_path / "nowhere"))
    with pytest.raises(ArgumentError, match=r"The run was trained on it; pass labelled images: --data DATA$"):
        export(gone, tmp_path / "a.onnx", options=ExportOptions(dtype="float16"))
    done = export(gone, tmp_path / "a.onnx")
    assert done.source == f"random colours, for the run's {tmp_path / 'nowhere'} can't be read"
    with pytest.raises(
        ArgumentError, match=r"a\.onnx: is exported already\. Pass the model that it was exported from\."
    ):
        export(tmp_path / "a.onnx", tmp_path / "b.onnx")
    assert not (tmp_path / "b.onnx").exists()


@pytest.mark.once
def test_a_repository_is_named_after_the_run_wherever_the_command_is_typed(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(trained[0])
    export(".", tmp_path / "models", format="triton")
    assert (tmp_path / "models" / "colours" / "1" / "model.onnx").is_file()
    message = r"models: a model repository\. Pass the network in it: .*models/colours/1/model\.onnx$"
    with pytest.raises(ArgumentError, match=message):
        Model.open(tmp_path / "models")


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
@pytest.mark.parametrize("name", ["a.onnx", "a.xml", "a.tflite", "a", "bundle"])
def test_no_changed_weight_is_used(trained, tmp_path, name):
    """Zeros in the middle of the weights, which every runtime would compute with."""
    formats = {"a": "saved_model", "bundle": "bundle"}
    for package, suffix in (("openvino", ".xml"), ("ai_edge_litert", ".tflite")):
        if name.endswith(suffix):
            pytest.importorskip(package)
    path = export(trained[0], tmp_path / name, format=formats.get(name)).path
    assert Model.open(path).classes == ("blue", "green", "red")
    weights = {"a.xml": tmp_path / "a.bin", "a": path / "saved_model.pb", "bundle": path / "model.safetensors"}
    file = weights.get(name, path)
    content = bytearray(file.read_bytes())
    place = len(content) // 2
    content[place : place + 64] = bytes(64)
    file.write_bytes(content)
    with pytest.raises(WeightsError, match=r"damaged"):
        Model.open(path).engines()


@pytest.mark.once
def test_every_format_has_a_row_and_a_file():
    """What CONTRIBUTING asks of whoever adds one."""
    assert (*FORMATS,) == get_args(ExportFormat)
    files = {path.stem.removeprefix("to_") for path in Path(formats.__file__).parent.glob("to_*.py")}
    assert files == FORMATS.keys()
    assert all(callable(writer_of(name)) for name in FORMATS)
