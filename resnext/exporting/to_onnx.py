"""Export to ONNX: one .onnx file."""

from __future__ import annotations

from pathlib import Path

from resnext.engines.onnx_runtime import LENGTH
from resnext.exporting.network import Export


def write(export: Export, path: Path) -> Path:
    """Write a network; return the file.

    Args:
        export: network to write, in ONNX.
        path: file to write.
    """
    import onnx

    network = onnx.load_from_string(export.onnx)
    del network.metadata_props[:]
    body, end = network.SerializeToString(), onnx.ModelProto()
    onnx.helper.set_model_props(end, export.description.to_metadata(body) | {LENGTH: str(len(body))})
    path.write_bytes(body + end.SerializeToString())  # Protocol Buffers messages may be written in parts
    return path
