"""Exported files of each format."""

import pytest

from resnext import export
from resnext.exporting.options import ExportOptions

NAMES = {"saved_model": "a", "litert": "a.tflite", "torch": "a.pt2"}


def made_here(trained, path, format, options=ExportOptions()):  # noqa: B008 - frozen
    if format == "litert":
        pytest.importorskip("ai_edge_litert")
    return export(trained[0], path, format=format, options=options)
