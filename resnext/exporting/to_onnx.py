"""Export to ONNX: one .onnx file."""

from __future__ import annotations

from pathlib import Path

from resnext.inference.engines import Description


def write(content: bytes, description: Description, path: Path) -> Path:
    """Write a network; return the file.

    Args:
        content: the network in ONNX.
        description: what the file is to say of itself, which ONNX has in it already.
        path: file to write.
    """
    path.write_bytes(content)
    return path
