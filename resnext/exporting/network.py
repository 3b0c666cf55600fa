"""A network during its export, and the functions that write it: one file `to_*.py` for each format."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from resnext.data.source import DataSource
from resnext.engines.description import Description
from resnext.exporting.options import ExportOptions
from resnext.inference.evaluate import open_data_for
from resnext.inference.model import Model

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Export:
    """A network on its way into a file.

    Args:
        model: opened model.
        description: description that the file will contain.
        options: options of the export.
        small: the network in ONNX in a smaller dtype; None for float32, which is made on demand.
    """

    model: Model
    description: Description
    options: ExportOptions
    small: bytes | None = None

    @cached_property
    def source(self) -> DataSource | None:
        """The data of the run, opened on demand; None for a model without a run. Raises DataError."""
        known = {run.config.data for run in self.model.runs}
        return open_data_for(known.pop(), False, self.model) if len(known) == 1 else None

    @cached_property
    def onnx(self) -> bytes:
        """The network in ONNX, from which some other formats are made. Raises MissingPackageError."""
        from resnext.engines.onnx_file import onnx_file

        if self.small is not None:
            return self.small
        (classifier,) = self.model.in_float32().build(outputs=("logits", "maps"))
        return onnx_file(classifier, self.description, self.options.maps)


def writer_of(format: str) -> Callable[[Export, Path], Path]:
    """Return the function that writes a format to a path and returns the file or folder that a runtime opens."""
    return importlib.import_module(f"resnext.exporting.to_{format}").write
