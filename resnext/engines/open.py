"""Engines by name, and exported files by kind: each opens in its own runtime."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from resnext.engines.engine import EngineName
from resnext.engines.exported_file import ExportedFile
from resnext.engines.litert import LiteRt
from resnext.engines.onnx_runtime import OnnxRuntime
from resnext.engines.openvino_runtime import OpenVino, OpenVinoBfloat16
from resnext.engines.saved_model import GRAPH, SavedModel
from resnext.errors import ArgumentError, printable

# Engines that compute any network once it is converted to ONNX in memory.
CONVERTED: dict[str, type[ExportedFile]] = {engine.name: engine for engine in (OpenVino, OnnxRuntime, OpenVinoBfloat16)}
BY_SUFFIX: dict[str, type[ExportedFile]] = {".onnx": OnnxRuntime, ".xml": OpenVino, ".tflite": LiteRt}


def open_exported(path: Path) -> ExportedFile | None:
    """Open an exported file or folder in its runtime; return None for anything else.

    Raises:
        WeightsError: it is damaged or was not exported by resnext.
        ArgumentError: a file format that can run code from others.
        MissingPackageError: the runtime is not installed.
    """
    if (path / GRAPH).is_file():
        return SavedModel(path)
    if networks := sorted(each for suffix in BY_SUFFIX for each in path.glob(f"*/1/model{suffix}")):
        raise ArgumentError(f"{printable(path)}: a model repository. Pass the network in it: {printable(networks[0])}")
    if path.suffix == ".pt2" and path.is_file():
        raise ArgumentError(
            f"{printable(path)}: PyTorch runs code pickled in such files, so resnext does not open them. Pass the "
            "model that it was exported from, or export to .onnx."
        )
    kind = BY_SUFFIX.get(path.suffix)
    return kind(path) if kind and path.is_file() else None


def title_of(engine: str) -> str:
    """Return the name of a runtime as its makers write it.

    >>> title_of("openvino"), title_of("keras")
    ('OpenVINO', 'Keras')
    """
    titles = {kind.name: kind.title for kind in (*CONVERTED.values(), *BY_SUFFIX.values(), SavedModel)}
    return titles.get(engine, "Keras")


def installed_engines() -> list[EngineName]:
    """Return the engines in float32 whose packages are installed, the fastest last."""
    names: list[EngineName] = ["keras"]
    others: tuple[EngineName, ...] = ("onnxruntime", "openvino")
    for name in others:
        if importlib.util.find_spec("onnx") is not None and importlib.util.find_spec(name) is not None:
            names.append(name)
    return names
