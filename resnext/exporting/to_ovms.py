"""Export to OpenVINO Model Server: a model repository with one OpenVINO network, and the server's configuration."""

from __future__ import annotations

import json
from pathlib import Path

from resnext.exporting import to_openvino
from resnext.exporting.network import Export
from resnext.exporting.to_triton import repository_name

CONFIGURATION = "config.json"


def write(export: Export, path: Path) -> Path:
    """Write a new model repository; return the network's file in it.

    The configuration names the folder relative to itself:
    https://docs.openvino.ai/2025/model-server/ovms_docs_parameters.html
    """
    name = repository_name(export.description)
    file = path / name / "1" / "model.xml"
    file.parent.mkdir(parents=True)
    document = {"model_config_list": [{"config": {"name": name, "base_path": name}}]}
    (path / CONFIGURATION).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return to_openvino.write(export, file)
