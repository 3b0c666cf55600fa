"""TensorFlow's, LiteRT's and PyTorch's formats, each in its own runtime, without resnext."""

import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

import keras
import numpy as np
import pytest

from resnext import Model, evaluate, explain, export, predict
from resnext.errors import ArgumentError
from resnext.exporting import formats
from resnext.exporting.formats import FORMATS, ExportFormat
from resnext.exporting.network import writer_of
from resnext.inference.options import EvaluationOptions
from support.command import refusal, resnext
from support.exports import NAMES, need
from support.places import REPOSITORY

pytest.importorskip("onnx")

OUTSIDE = {"normalisation": "outside", "maps": True}

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


@pytest.mark.parametrize("format", HERE)
def test_its_own_runtime_gives_the_probabilities_of_the_network(trained, colours, tmp_path, format):
    path = tmp_path / NAMES[format]
    need(format)
    done = export(trained[0], path, to=format)
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
def test_normalisation_outside_and_maps(trained, exported_as, colours, format):
    """Channels are where the runtime has them: first in PyTorch, last in TensorFlow."""
    path, file = exported_as(format, **OUTSIDE), photos(colours)[0]
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
def test_a_file_is_a_model(judged, exported_as, colours, format):
    path = exported_as(format)
    for file in (path, exported_as(format, **OUTSIDE)):
        np.testing.assert_allclose(evaluate(file, colours / "test").losses, judged.losses, atol=1e-4)
    with pytest.raises(ArgumentError, match=r"the exported file does not compute other sizes\. Pass the model it was"):
        evaluate(path, colours / "test", options=EvaluationOptions(size=(64,)))


@pytest.mark.once(on="torch")
def test_the_command_takes_the_backend_that_writes_a_format(trained, tmp_path):
    """A file of PyTorch's program is for others: opening one would run what is pickled in it."""
    pytest.importorskip("torch")
    path = tmp_path / "a.pt2"
    command = [sys.executable, "-m", "resnext", "export", trained[0], "--out", path]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "KERAS_BACKEND": "jax"})
    assert refusal(resnext("predict", path, "x.png")) == (
        f"{path}: PyTorch runs code pickled in such files, so resnext does not open them. Pass the model that it was "
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
def test_every_format_has_a_row_and_a_file():
    """What CONTRIBUTING asks of whoever adds one."""
    assert (*FORMATS,) == get_args(ExportFormat)
    files = {path.stem.removeprefix("to_") for path in Path(formats.__file__).parent.glob("to_*.py")}
    assert files == FORMATS.keys()
    assert all(callable(writer_of(name)) for name in FORMATS)
