"""ONNX: the probabilities of the network in plain ONNX Runtime, its classes, and maps."""

import json

import keras
import numpy as np
import pytest

from resnext import Model, explain, export, predict
from resnext.errors import ArgumentError
from resnext.exporting.options import ExportOptions
from resnext.images.preprocessing import Preprocessing

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")


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


def test_normalisation_outside_and_maps(trained, exported_as, colours, tmp_path):
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
    with pytest.raises(ArgumentError, match=r"a\.onnx: the exported file does not compute maps\. Pass the model"):
        explain(exported_as("onnx"), file)
    (prediction,) = predict(tmp_path / "a.onnx", file)
    assert dict(prediction.classes)["red"] == pytest.approx(probabilities[0, 2], abs=1e-5)
