"""A network in LiteRT (TensorFlow Lite), on the CPU."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from resnext.backend import silent
from resnext.engines.description import MAX_METADATA, check_sha256
from resnext.engines.exported_file import ExportedFile

DESCRIPTION = "resnext.json"  # in the archive at the end of the file


class LiteRt(ExportedFile):
    """A network in LiteRT, without TensorFlow's operations, which could read and write files."""

    name, package, title, channels_last = "litert", "ai_edge_litert", "LiteRT", True

    def open(self, source: Path | bytes) -> tuple[dict[str, str], dict[str, list[Any]]]:
        from ai_edge_litert.interpreter import Interpreter

        metadata = _description(Path(str(source)))
        with silent():
            self.interpreter = Interpreter(str(source), num_threads=os.cpu_count())
            self.interpreter.allocate_tensors()
        self.runner = self.interpreter.get_signature_runner()
        ends = {**self.runner.get_input_details(), **self.runner.get_output_details()}
        return metadata, {name: end["shape_signature"].tolist() for name, end in ends.items()}

    def run(self, images: np.ndarray) -> dict[str, np.ndarray]:
        return self.runner(images=images)


def _description(path: Path) -> dict[str, str]:
    """Return the description in a file. Raises ValueError or `zipfile`'s errors if it is damaged."""
    if not zipfile.is_zipfile(path):
        return {}
    with zipfile.ZipFile(path) as archive:
        start = min(entry.header_offset for entry in archive.infolist())
        if archive.getinfo(DESCRIPTION).file_size > MAX_METADATA:
            raise ValueError(f"{DESCRIPTION} has more than {MAX_METADATA:,} bytes")
        metadata = json.loads(archive.read(DESCRIPTION))
    check_sha256(metadata, memoryview(path.read_bytes())[:start])
    return metadata
