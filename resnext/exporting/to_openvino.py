"""Export to OpenVINO: an .xml file with the graph, and a .bin file with the weights."""

from __future__ import annotations

import io
import json
from pathlib import Path

from resnext.exporting.options import ExportOptions
from resnext.inference.engines import RT_INFO, Description, check_installed
from resnext.inference.model import Model
from resnext.inference.onnx_model import onnx_model


def write(model: Model, description: Description, options: ExportOptions, path: Path) -> None:
    """Write a trained network; the arguments are those of `to_onnx.write`."""
    check_installed("openvino", "export to openvino")
    import openvino

    converted = openvino.Core().read_model(io.BytesIO(onnx_model(model, description, options.maps)))
    converted.set_rt_info(json.dumps(description.to_metadata(), ensure_ascii=False), RT_INFO)
    openvino.save_model(converted, str(path), compress_to_fp16=False)
