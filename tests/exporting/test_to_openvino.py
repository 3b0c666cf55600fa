"""OpenVINO's own format in OpenVINO."""

import pytest

from resnext import Model, predict
from resnext.errors import WeightsError
from support.command import resnext

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


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
