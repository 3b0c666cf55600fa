"""Export to ONNX: one .onnx file."""

from __future__ import annotations

from pathlib import Path

from resnext.exporting.options import ExportOptions
from resnext.inference.engines import Description
from resnext.inference.model import Model
from resnext.inference.onnx_model import onnx_model


def write(model: Model, description: Description, options: ExportOptions, path: Path) -> None:
    """Write a trained network.

    Args:
        model: opened model.
        description: what the file is to say of itself.
        options: options of the export.
        path: file to write.
    """
    path.write_bytes(onnx_model(model, description, options.maps))
