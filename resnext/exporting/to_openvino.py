"""Export to OpenVINO: an .xml file with the graph, and a .bin file with the weights."""

from __future__ import annotations

import io
import json
from pathlib import Path

from resnext.engines.engine import check_installed
from resnext.engines.openvino_runtime import RT_INFO, openvino_core
from resnext.exporting.network import Export


def write(export: Export, path: Path) -> Path:
    """Write a network; return the .xml file."""
    check_installed("openvino", "export to openvino")
    import openvino

    converted = openvino_core().read_model(io.BytesIO(export.onnx))
    openvino.save_model(converted, str(path), compress_to_fp16=False)
    known = export.description.to_metadata(path.with_suffix(".bin").read_bytes())
    converted.set_rt_info(json.dumps(known, ensure_ascii=False), RT_INFO)
    openvino.save_model(converted, str(path), compress_to_fp16=False)
    return path
