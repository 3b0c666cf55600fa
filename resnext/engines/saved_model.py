"""A SavedModel of TensorFlow, run without trusting it: its graph may only compute."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from resnext.backend import silent
from resnext.engines.description import MAX_METADATA, check_sha256
from resnext.engines.exported_file import ExportedFile
from resnext.engines.foreign_graph import check_calls, check_finite, check_operations, check_sizes

GRAPH = "saved_model.pb"
DESCRIPTION = "assets.extra/resnext.json"
SIGNATURE = "serving_default"
# Others can access files or run code: https://github.com/tensorflow/tensorflow/blob/master/SECURITY.md
OPERATIONS = (
    "AddV2 AvgPool BatchMatMulV2 BiasAdd Cast ConcatV2 Const Conv2D Elu EnsureShape ExpandDims FusedBatchNormV3 "
    "Identity IdentityN MatMul MaxPool Mean Mul NoOp Pack Pad PadV2 PartitionedCall Placeholder Relu Reshape Rsqrt "
    "Shape Sigmoid Softmax Softplus Split SplitV Squeeze StatefulPartitionedCall StridedSlice Sub Tanh Transpose"
)


class SavedModel(ExportedFile):
    """A network in a SavedModel, run by TensorFlow on the CPU."""

    name, package, title, channels_last = "tensorflow", "tensorflow", "TensorFlow", True

    def open(self, source: Path | bytes) -> tuple[dict[str, str], dict[str, list[Any]]]:
        with silent():
            import tensorflow as tf
        from tensorflow.core.protobuf import saved_model_pb2

        folder = Path(str(source))
        content = (folder / GRAPH).read_bytes()
        (meta,) = saved_model_pb2.SavedModel.FromString(content).meta_graphs
        signature = meta.signature_def[SIGNATURE]
        ends = {**signature.inputs, **signature.outputs}
        graph = _computing(meta.graph_def, {end.name.split(":")[0] for end in ends.values()})
        _rename_functions(graph, hashlib.sha256(content).hexdigest()[:16])
        whole = tf.compat.v1.wrap_function(lambda: tf.graph_util.import_graph_def(graph, name=""), [])
        tensors = {name: whole.graph.get_tensor_by_name(end.name) for name, end in ends.items()}
        check_sizes(_shape(each) for operation in whole.graph.get_operations() for each in operation.outputs)
        self.function = whole.prune(tensors["images"], {name: tensors[name] for name in signature.outputs})
        description = folder / DESCRIPTION
        if description.stat().st_size > MAX_METADATA:
            raise ValueError(f"{DESCRIPTION} has more than {MAX_METADATA:,} bytes")
        metadata = json.loads(description.read_text(encoding="utf-8"))
        check_sha256(metadata, content)
        return metadata, {name: tensor.shape.as_list() for name, tensor in tensors.items()}

    def run(self, images: np.ndarray) -> dict[str, np.ndarray]:
        import tensorflow as tf

        with tf.device("CPU"):
            return {name: values.numpy() for name, values in self.function(tf.constant(images)).items()}


def _shape(tensor: Any) -> list[int | None]:
    return [] if tensor.shape.rank is None else tensor.shape.as_list()


def _computing(graph: Any, wanted: set[str]) -> Any:
    """Reduce a graph to what some nodes depend on. Raises ValueError if any of it does more than compute."""
    from tensorflow import make_ndarray

    nodes = _reached(wanted, {node.name: node for node in graph.node}, lambda node: map(_node_of, node.input))
    functions = {function.signature.name: function for function in graph.library.function}
    called = {name for node in nodes for name in _functions_of(node)}
    called = _reached(
        called, functions, lambda function: (f for node in function.node_def for f in _functions_of(node))
    )
    every = [*nodes, *(node for function in called for node in function.node_def)]
    check_operations((node.op for node in every), OPERATIONS)
    check_finite((node.name, make_ndarray(node.attr["value"].tensor)) for node in every if node.op == "Const")
    check_calls(
        {each.signature.name: [name for node in each.node_def for name in _functions_of(node)] for each in called}
    )
    kept = type(graph)(versions=graph.versions, node=nodes)
    kept.library.function.extend(called)
    return kept


def _reached(first: Iterable[str], known: dict[str, Any], following: Callable[[Any], Iterable[str]]) -> list[Any]:
    """Return everything reachable from some names, in the order of `known`."""
    reached: set[str] = set()
    new = {*first}
    while new:
        reached |= new
        new = {name for each in new for name in following(known[each])} - reached
    return [each for name, each in known.items() if name in reached]


def _node_of(end: str) -> str:
    """Return the name of the node that produces another node's input."""
    return end.removeprefix("^").split(":")[0]


def _rename_functions(graph: Any, suffix: str) -> None:
    """Give the functions unique names, because all graphs of a process share one namespace."""
    for function in graph.library.function:
        function.signature.name += f"_{suffix}"
    for node in (*graph.node, *(node for function in graph.library.function for node in function.node_def)):
        for value in node.attr.values():
            for called in (value.func, *value.list.func):
                if called.name:
                    called.name += f"_{suffix}"


def _functions_of(node: Any) -> Iterator[str]:
    """Yield the names of the functions that a node calls."""
    for value in node.attr.values():
        yield from (function.name for function in (value.func, *value.list.func) if function.name)
