"""Exported files by their kinds: each opens in its own runtime."""

from __future__ import annotations

from pathlib import Path

from resnext.errors import ArgumentError, printable
from resnext.inference.engines import Engine, OnnxRuntime, OpenVino
from resnext.inference.litert import LiteRt
from resnext.inference.saved_model import GRAPH, SavedModel

BY_SUFFIX: dict[str, type[Engine]] = {".onnx": OnnxRuntime, ".xml": OpenVino, ".tflite": LiteRt}


def open_exported(path: Path) -> Engine | None:
    """Open an exported file or folder in its runtime; return None for anything else.

    Raises:
        WeightsError: it is damaged, or was not exported by resnext.
        ArgumentError: a kind of file that would run what others put into it.
        MissingPackageError: the runtime is not installed.
    """
    if (path / GRAPH).is_file():
        return SavedModel(path)
    if networks := sorted(each for suffix in BY_SUFFIX for each in path.glob(f"*/1/model{suffix}")):
        raise ArgumentError(f"{printable(path)}: a model repository. Pass the network in it: {printable(networks[0])}")
    if path.suffix == ".pt2" and path.is_file():
        raise ArgumentError(
            f"{printable(path)}: PyTorch runs what is pickled in such a file, so resnext opens none. Pass the model "
            "that it was exported from, or export to .onnx."
        )
    kind = BY_SUFFIX.get(path.suffix)
    return kind(path) if kind and path.is_file() else None
