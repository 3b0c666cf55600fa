"""The formats of an export: one row each, and one file `to_*.py` with its `write(export, path)`."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from resnext.engines.description import Description
from resnext.exporting.options import ExportOptions
from resnext.inference.model import Model

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Export:
    """A network on its way into a file.

    Args:
        model: opened model.
        description: what the file is to say of itself.
        options: options of the export.
    """

    model: Model
    description: Description
    options: ExportOptions

    @cached_property
    def onnx(self) -> bytes:
        """The network in ONNX, from which other formats are made as well. Raises MissingPackageError."""
        from resnext.engines.onnx_file import onnx_file

        (classifier,) = self.model.in_float32().build(outputs=("logits", "maps"))
        return onnx_file(classifier, self.description, self.options.maps)

    def with_onnx(self, content: bytes) -> Export:
        """Return the same export of another network in ONNX."""
        other = Export(self.model, self.description, self.options)
        other.__dict__["onnx"] = content
        return other


def writer_of(format: str) -> Callable[[Export, Path], Path]:
    """Return the function that writes a format to a path, and returns the file or folder that a runtime opens."""
    return importlib.import_module(f"resnext.exporting.to_{format}").write
