"""float16: half the size, refused where it costs too much or can't be."""

import re

import numpy as np
import pytest

from resnext import Model, ResNeXt, evaluate, export, save_weights
from resnext.errors import ArgumentError, ExportError
from resnext.exporting.calibration import Cost
from resnext.exporting.options import ExportOptions
from resnext.images.preprocessing import Preprocessing
from support.command import resnext
from support.exports import NAMES, need

pytest.importorskip("onnx")


@pytest.mark.once
@pytest.mark.parametrize("format", ["onnx", "openvino"])
def test_half_precision_halves_the_size(trained, judged, exported_as, colours, tmp_path, format):
    need(format)
    name = NAMES[format]
    process = resnext("export", trained[0], "--out", tmp_path / name, "--dtype", "float16")
    assert process.returncode == 0, process.stderr
    assert re.search(r"^float16: top-1 [\d.]+ % before, [\d.]+ % after, on 12 images$", process.stdout, re.M)
    weights = name.replace(".xml", ".bin")
    size, whole = (path.stat().st_size for path in (tmp_path / weights, exported_as(format).with_name(weights)))
    assert size < 0.6 * whole
    given = evaluate(tmp_path / name, colours / "test")
    assert 0 < np.abs(given.losses - judged.losses).max() < 0.01


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
    with pytest.raises(ArgumentError, match=r"litert is in float32\. Leave --dtype out, or pass --to onnx, openvino"):
        export(trained[0], tmp_path / "a.tflite", options=half)
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]
