"""The formats of an export, one row each."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

ExportFormat = Literal["onnx", "openvino", "litert", "torch", "saved_model", "bundle", "triton", "ovms"]
LABELS = "labels.txt"


class Format(NamedTuple):
    """The facts about a format, whose file `to_NAME.py` has the function `write(export, path)`.

    Args:
        suffix: suffix of its file; None for a folder.
        backend: backend of Keras that writes it; None for any.
        all_dtypes: whether it can be written in float16 and int8 as well.
        is_repository: whether it is a server's model repository, with the network two folders below.
    """

    suffix: str | None = None
    backend: str | None = None
    all_dtypes: bool = False
    is_repository: bool = False


FORMATS: dict[ExportFormat, Format] = {
    "onnx": Format(".onnx", all_dtypes=True),
    "openvino": Format(".xml", all_dtypes=True),
    "litert": Format(".tflite", "tensorflow"),
    "torch": Format(".pt2", "torch"),
    "saved_model": Format(backend="tensorflow"),
    "bundle": Format(),
    "triton": Format(all_dtypes=True, is_repository=True),
    "ovms": Format(all_dtypes=True, is_repository=True),
}


def format_of(path: Path) -> ExportFormat | None:
    """Return the format that a suffix names.

    >>> format_of(Path("signs.onnx"))
    'onnx'
    """
    return next((name for name, known in FORMATS.items() if known.suffix and known.suffix == path.suffix.lower()), None)
