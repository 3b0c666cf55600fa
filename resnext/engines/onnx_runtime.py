"""A network in ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from resnext.engines.description import check_sha256
from resnext.engines.exported_file import ExportedFile
from resnext.engines.foreign_graph import check_finite, check_operations, check_sizes

OPERATIONS = (
    "Add AveragePool Cast Concat Conv DequantizeLinear Elu Flatten Gemm GlobalAveragePool Identity MatMul MaxPool Mul "
    "Pad QuantizeLinear Relu Reshape Sigmoid Softmax Softplus Split Squeeze Tanh Transpose Unsqueeze"
)
LENGTH = "length"  # of the hashed part of an ONNX file; the description follows it


class OnnxRuntime(ExportedFile):
    """A network in ONNX Runtime, on the CPU."""

    name, package, title = "onnxruntime", "onnxruntime", "ONNX Runtime"

    def open(self, source: Path | bytes) -> tuple[dict[str, str], dict[str, list[Any]]]:
        import onnxruntime

        onnxruntime.set_default_logger_severity(3)  # errors only, which are also raised
        content = source if isinstance(source, bytes) else source.read_bytes()  # once: what is checked is what runs
        if isinstance(source, Path):
            _check_graph(content)
        self.session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"], enable_fallback=0)
        metadata = self.session.get_modelmeta().custom_metadata_map
        if isinstance(source, Path) and LENGTH in metadata:
            check_sha256(metadata, memoryview(content)[: int(metadata[LENGTH])])
        self.names = [output.name for output in self.session.get_outputs()]
        ends = (*self.session.get_inputs(), *self.session.get_outputs())
        return metadata, {each.name: each.shape for each in ends}

    def run(self, images: np.ndarray) -> dict[str, np.ndarray]:
        return dict(zip(self.names, self.session.run(self.names, {"images": images}), strict=True))


def _check_graph(content: bytes) -> None:
    """Raise ValueError, or an error of onnx's, if a network does more than those of resnext."""
    import onnx
    from onnx import numpy_helper, shape_inference

    model = onnx.load_from_string(content)
    graph = model.graph
    ours = [node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}" for node in graph.node]
    check_operations([*ours, *(f"{each.domain}.{each.name}" for each in model.functions)], OPERATIONS)
    if (
        any(weight.data_location == onnx.TensorProto.EXTERNAL for weight in graph.initializer)
        or graph.sparse_initializer
    ):
        raise ValueError("its weights are in other files")
    check_finite((weight.name, numpy_helper.to_array(weight)) for weight in graph.initializer)
    tensors = shape_inference.infer_shapes(model).graph.value_info
    check_sizes([side.dim_value for side in tensor.type.tensor_type.shape.dim] for tensor in tensors)
