"""Export to NVIDIA Triton: a model repository with one ONNX network, for Triton's ONNX Runtime."""

from __future__ import annotations

import json
import re
from pathlib import Path

from resnext.engines.description import Description
from resnext.exporting import to_onnx
from resnext.exporting.formats import LABELS
from resnext.exporting.network import Export

MAX_BATCH = 64  # images that Triton computes at once at most


def write(export: Export, path: Path) -> Path:
    """Write a new model repository; return the network's file in it.

    The configuration is a `ModelConfig` as text:
    https://github.com/triton-inference-server/common/blob/main/protobuf/model_config.proto
    """
    name = repository_name(export.description)
    file = path / name / "1" / "model.onnx"
    file.parent.mkdir(parents=True)
    (path / name / "config.pbtxt").write_text(_configuration(name, export.onnx), encoding="utf-8")
    return to_onnx.write(export, file)


def repository_name(description: Description) -> str:
    """Return a name for a network in a repository: the model's own, of ASCII letters, digits, and - . _ only."""
    return re.sub(r"[^\w.-]", "_", description.facts["model"], flags=re.ASCII)


def _configuration(name: str, content: bytes) -> str:
    import onnx

    graph = onnx.load_from_string(content).graph
    (images,) = graph.input
    kind = {onnx.TensorProto.UINT8: "TYPE_UINT8", onnx.TensorProto.FLOAT: "TYPE_FP32"}[
        images.type.tensor_type.elem_type
    ]
    ends = [_end("input", "images", kind, _sides(images))]
    for output in graph.output:
        labels = f'\n    label_filename: "{LABELS}"' if output.name == "probabilities" else ""
        ends.append(_end("output", output.name, "TYPE_FP32", _sides(output), labels))
    return "\n".join(
        [
            f"name: {json.dumps(name)}",
            'backend: "onnxruntime"',
            f"max_batch_size: {MAX_BATCH}",
            *ends,
            "dynamic_batching { }",
            "",
        ]
    )


def _end(side: str, name: str, kind: str, sides: list[int], labels: str = "") -> str:
    return f'{side} [\n  {{\n    name: "{name}"\n    data_type: {kind}\n    dims: {sides}{labels}\n  }}\n]'


def _sides(end) -> list[int]:
    """Return the shape of an input or output without the batch; -1 means any length."""
    return [side.dim_value or -1 for side in end.type.tensor_type.shape.dim[1:]]
