"""A network in OpenVINO."""

from __future__ import annotations

import functools
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from resnext.engines.description import check_sha256
from resnext.engines.exported_file import ExportedFile
from resnext.engines.foreign_graph import check_finite, check_operations, check_sizes

OPERATIONS = (
    "Add AvgPool Broadcast Clamp Concat Constant Convert Convolution Divide Elu FakeQuantize Gather GroupConvolution "
    "MatMul MaxPool Mish Multiply Pad Parameter Power Range ReduceMean ReduceSum Relu ReLU Reshape Result Round "
    "ShapeOf Sigmoid Slice SoftPlus Softmax SoftMax Split Squeeze StridedSlice Subtract Swish Tanh Transpose "
    "Unsqueeze VariadicSplit"
)
RT_INFO = ["resnext", "description"]  # place of the description in an OpenVINO model


class OpenVino(ExportedFile):
    """A network in OpenVINO, on the CPU and in float32: by default OpenVINO computes in bfloat16 if the CPU can."""

    name, package, title, precision = "openvino", "openvino", "OpenVINO", "f32"

    def open(self, source: Path | bytes) -> tuple[dict[str, str], dict[str, list[Any]]]:
        core = openvino_core()
        model = core.read_model(io.BytesIO(source) if isinstance(source, bytes) else str(source))
        metadata = json.loads(model.get_rt_info(RT_INFO).value) if model.has_rt_info(RT_INFO) else {}
        if isinstance(source, Path):
            _check_graph(model.get_ops())
            check_sha256(metadata, source.with_suffix(".bin").read_bytes())
        how = {"INFERENCE_PRECISION_HINT": self.precision, "PERFORMANCE_HINT": "LATENCY"}  # all cores for each batch
        self.request = core.compile_model(model, "CPU", how).create_infer_request()
        ends = {name: port for port in (*model.inputs, *model.outputs) for name in port.names}
        return metadata, {name: [*map(_length, port.partial_shape)] for name, port in ends.items()}

    def run(self, images: np.ndarray) -> dict[str, np.ndarray]:
        return {port.get_any_name(): values for port, values in self.request.infer({"images": images}).items()}


class OpenVinoBfloat16(OpenVino):
    """A network in OpenVINO in bfloat16, if the CPU supports it: faster and less exact."""

    name, precision = "openvino-bfloat16", "bf16"


def _check_graph(operations: list[Any]) -> None:
    """Raise ValueError if a network does more than those of resnext; nothing of it has run yet."""
    check_operations((operation.get_type_name() for operation in operations), OPERATIONS)
    ends = [end for operation in operations for end in operation.outputs()]
    check_sizes([_length(side) for side in end.partial_shape] for end in ends if end.partial_shape.rank.is_static)
    constants = (each for each in operations if each.get_type_name() == "Constant")
    check_finite((each.get_friendly_name(), each.data) for each in constants)


@functools.cache
def openvino_core() -> Any:
    """Return OpenVINO's `Core`, one for the process and never freed.

    Its CPU plugin gives the thread that created it a larger stack for signals, and removes it when the plugin is freed.
    If another thread frees it, the next signal crashes the process (OpenVINO 2026.4, a CPU with AMX).
    """
    import openvino

    return openvino.Core()


def _length(side: Any) -> int | None:
    """Return the length of one dimension of an OpenVINO shape; None for any."""
    return side.get_length() if side.is_static else None
