"""A repository for OpenVINO Model Server."""

import json

import pytest

from resnext import Model, export
from resnext.exporting.options import ExportOptions

pytest.importorskip("onnx")


@pytest.mark.once
def test_a_repository_for_openvino_model_server(trained, colours, tmp_path):
    pytest.importorskip("openvino")
    options = ExportOptions(dtype="int8", max_drop=1)
    done = export(trained[0], tmp_path / "models", to="ovms", options=options)
    assert done.cost.evaluated == 12
    document = json.loads((tmp_path / "models" / "config.json").read_text())
    assert document == {"model_config_list": [{"config": {"name": "colours", "base_path": "colours"}}]}
    files = {path.name for path in (tmp_path / "models" / "colours").rglob("*") if path.is_file()}
    assert files == {"model.xml", "model.bin", "labels.txt"}
    assert {path.name for path in (tmp_path / "models").iterdir()} == {"config.json", "colours"}
    assert Model.open(tmp_path / "models" / "colours" / "1" / "model.xml").classes == ("blue", "green", "red")
