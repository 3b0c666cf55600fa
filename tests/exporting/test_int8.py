"""int8: calibrated and evaluated on the images of the run, refused where it costs too much."""

import re

import numpy as np
import pytest

from resnext import Model, convert, evaluate, export
from resnext.errors import ArgumentError, ExportError
from resnext.exporting.calibration import Cost
from resnext.exporting.options import ExportOptions
from support.command import resnext
from support.exports import NAMES, need

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.mark.once
@pytest.mark.parametrize("format", ["onnx", "openvino"])
def test_int8_is_calibrated_and_evaluated_on_the_images_of_the_run(
    trained, judged, exported_as, colours, tmp_path, format
):
    need(format)
    name = NAMES[format]
    process = resnext(
        "export", trained[0], "--out", tmp_path / name, "--dtype", "int8", "--keep-ends", "--max-drop", 0.2
    )
    assert process.returncode == 0, process.stderr
    assert re.search(
        r"^int8: top-1 [\d.]+ % before, [\d.]+ % after, on 12 images; calibrated by minmax on 72$", process.stdout, re.M
    )
    assert {path.name for path in tmp_path.iterdir()} == {name, "labels.txt", *(["a.bin"] if name == "a.xml" else [])}
    weights = name.replace(".xml", ".bin")
    size, whole = (path.stat().st_size for path in (tmp_path / weights, exported_as(format).with_name(weights)))
    assert size < 0.45 * whole
    model = Model.open(tmp_path / name)
    assert model.file.description.facts["quantisation"]["calibration"] == "minmax"
    given = evaluate(tmp_path / name, colours / "test")
    assert given.top(1) >= judged.top(1) - 0.2
    assert 0 < np.abs(given.losses - judged.losses).max() < 0.5


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
    with pytest.raises(ArgumentError, match=r"int8 accepts uint8 images and has no maps\."):
        ExportOptions(dtype="int8", maps=True)
    with pytest.raises(ArgumentError, match=r"`max_drop` must be from 0 to 1\. Received: 2"):
        ExportOptions(max_drop=2)
    with pytest.raises(ArgumentError, match=r"a bundle contains unchanged weights"):
        export(trained[0], tmp_path / "bundle", to="bundle", options=ExportOptions(maps=True))
