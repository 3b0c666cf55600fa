"""Exported files of each format."""

from collections.abc import Callable
from pathlib import Path

import pytest

from resnext import export
from resnext.exporting.options import ExportOptions
from support.places import made_once

NAMES = {"saved_model": "a", "litert": "a.tflite", "torch": "a.pt2", "onnx": "a.onnx", "openvino": "a.xml",
         "bundle": "bundle"}  # fmt: skip
RUNTIMES = {"litert": "ai_edge_litert", "openvino": "openvino"}


def need(format: str) -> None:
    """Skip the test where the package that writes a format is missing."""
    if format in RUNTIMES:
        pytest.importorskip(RUNTIMES[format])


@pytest.fixture(scope="session")
def exported_as(trained, tmp_path_factory) -> Callable[..., Path]:
    """The run in a format, exported once for all tests: they copy a file before they change it."""

    def path_of(format: str, **options) -> Path:
        need(format)

        def make(folder: Path) -> None:
            folder.mkdir()
            export(trained[0], folder / NAMES[format], to=format, options=ExportOptions(**options))

        return made_once(tmp_path_factory, "-".join(map(str, (format, *options.values()))), make) / NAMES[format]

    return path_of
