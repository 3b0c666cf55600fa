"""Export to ONNX: one .onnx file."""

from __future__ import annotations

from pathlib import Path

from resnext.engines.description import Description
from resnext.engines.onnx_runtime import LENGTH


def write(content: bytes, description: Description, path: Path) -> Path:
    """Write a network; return the file.

    Args:
        content: the network in ONNX.
        description: what the file is to say of itself, which ONNX has in it already.
        path: file to write.
    """
    import onnx

    network = onnx.load_from_string(content)
    del network.metadata_props[:]
    body, end = network.SerializeToString(), onnx.ModelProto()
    onnx.helper.set_model_props(end, description.to_metadata(body) | {LENGTH: str(len(body))})
    path.write_bytes(body + end.SerializeToString())  # messages of Protocol Buffers may be written in parts
    return path
