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
from resnext.engines.foreign_graph import check_finite, check_operations, check_sizes

OPERATIONS = (
    "ADD AVERAGE_POOL_2D BATCH_MATMUL BROADCAST_TO CAST CONCATENATION CONV_2D DELEGATE DEPTHWISE_CONV_2D DEQUANTIZE "
    "DIV ELU EXP EXPAND_DIMS FILL FULLY_CONNECTED LOG LOGISTIC MAX_POOL_2D MEAN MUL NEG PACK PAD PADV2 QUANTIZE RELU "
    "RELU6 RESHAPE RSQRT SHAPE SLICE SOFTMAX SPLIT SPLIT_V SQUEEZE STRIDED_SLICE SUB SUM TANH TRANSPOSE"
)
DESCRIPTION = "resnext.json"  # in the archive at the end of the file


class LiteRt(ExportedFile):
    """A network in LiteRT, without TensorFlow's operations, which could read and write files."""

    name, package, title, channels_last = "litert", "ai_edge_litert", "LiteRT", True

    def open(self, source: Path | bytes) -> tuple[dict[str, str], dict[str, list[Any]]]:
        from ai_edge_litert.interpreter import Interpreter

        metadata = _description(Path(str(source)))
        with silent():
            self.interpreter = Interpreter(str(source), num_threads=os.cpu_count())
            _check_graph(self.interpreter)
            self.interpreter.allocate_tensors()
        self.runner = self.interpreter.get_signature_runner()
        ends = {**self.runner.get_input_details(), **self.runner.get_output_details()}
        return metadata, {name: end["shape_signature"].tolist() for name, end in ends.items()}

    def run(self, images: np.ndarray) -> dict[str, np.ndarray]:
        return self.runner(images=images)


def _check_graph(interpreter: Any) -> None:
    """Raise ValueError if a network does more than those of resnext; nothing of it has run yet."""
    operations = interpreter._get_ops_details()
    check_operations((operation["op_name"] for operation in operations), OPERATIONS)
    tensors = interpreter.get_tensor_details()
    check_sizes([*map(int, tensor["shape"])] for tensor in tensors)
    computed = {place for operation in operations for place in operation["outputs"]}
    computed |= {end["index"] for end in interpreter.get_input_details()}
    constants = (tensor for tensor in tensors if tensor["index"] not in computed and tensor["shape"].size)
    check_finite((tensor["name"], interpreter.get_tensor(tensor["index"])) for tensor in constants)


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
