"""A network in ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from resnext.engines.description import check_sha256
from resnext.engines.exported_file import ExportedFile

LENGTH = "length"  # of the hashed part of an ONNX file; the description follows it


class OnnxRuntime(ExportedFile):
    """A network in ONNX Runtime, on the CPU."""

    name, package, title = "onnxruntime", "onnxruntime", "ONNX Runtime"

    def open(self, source: Path | bytes) -> tuple[dict[str, str], dict[str, list[Any]]]:
        import onnxruntime

        onnxruntime.set_default_logger_severity(3)  # errors only, which are also raised
        content = source if isinstance(source, bytes) else str(source)
        self.session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        metadata = self.session.get_modelmeta().custom_metadata_map
        if isinstance(source, Path) and LENGTH in metadata:
            check_sha256(metadata, memoryview(source.read_bytes())[: int(metadata[LENGTH])])
        self.names = [output.name for output in self.session.get_outputs()]
        ends = (*self.session.get_inputs(), *self.session.get_outputs())
        return metadata, {each.name: each.shape for each in ends}

    def run(self, images: np.ndarray) -> dict[str, np.ndarray]:
        return dict(zip(self.names, self.session.run(self.names, {"images": images}), strict=True))
