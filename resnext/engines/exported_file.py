"""Exported files as engines: the base class of the runtimes that open them."""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from resnext.engines.description import Description
from resnext.engines.engine import Engine, Outputs, check_installed
from resnext.errors import WeightsError, one_line, printable
from resnext.metrics.probabilities import logits_of


class ExportedFile(Engine):
    """A network in a file from `resnext export`, or in the same form in memory.

    Args:
        source: exported file, or the content of one in ONNX.
        description: description of the network; by default the file's own. One that is passed is checked against it.

    Raises:
        WeightsError: the file is damaged or was not exported by resnext.
        MissingPackageError: the runtime is not installed.
    """

    package = title = ""  # of the runtime
    channels_last = False  # whether normalised images are (batch, height, width, 3)

    def __init__(self, source: Path | bytes, description: Description | None = None):
        check_installed(self.package, f"a network in {self.title}")
        self.source = "the network" if isinstance(source, bytes) else printable(source)
        with _opening(self.source, self.title):
            metadata, shapes = self.open(source)
        self.description = description or Description.from_metadata(metadata, source)
        self.has_maps, self.several = "maps" in shapes, self.description.several
        if description is None:
            images, probabilities = shapes.get("images", []), shapes.get("probabilities", [])
            self.description.check_shapes(images, probabilities, source, self.channels_last)

    @abstractmethod
    def open(self, source: Path | bytes) -> tuple[dict[str, str], dict[str, list[Any]]]:
        """Open the network; return its metadata, and the shapes of its inputs and outputs by name."""

    @abstractmethod
    def run(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Return all outputs by name for images in the file's input format."""

    def outputs(self, images: np.ndarray) -> Outputs:
        """Compute uint8 (images, size, size, 3): logits, and class activation maps if the file has them."""
        if self.description.input == "normalised":
            images = self.description.preprocessing.normalised(images)
            images = images if self.channels_last else images.transpose(0, 3, 1, 2)
        try:
            arrays = self.run(images)
        except Exception as error:  # of many kinds: no memory, a node without a kernel
            raise WeightsError(f"{self.source}: {self.title} can't compute it ({one_line(error)}).") from error
        maps = arrays.get("maps")
        if maps is not None and self.channels_last:
            maps = maps.transpose(0, 3, 1, 2)
        logits = arrays["logits"] if "logits" in arrays else logits_of(arrays["probabilities"], self.several)
        return Outputs(logits, maps=maps, several=self.several)


@contextlib.contextmanager
def _opening(name: str, runtime: str) -> Iterator[None]:
    """Turn any error that a runtime raises for a damaged file into a WeightsError."""
    try:
        yield
    except Exception as error:  # of many kinds, depending on the damage
        raise WeightsError(f"{name}: {runtime} can't open it ({one_line(error)}). Export it again.") from error
