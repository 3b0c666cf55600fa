"""Weights in half precision: half the size; everything is still computed in float32."""

from __future__ import annotations

import numpy as np

from resnext.errors import ExportError


def halved(content: bytes) -> bytes:
    """Return a network in ONNX with its kernels in float16, each cast to float32 where it is used.

    Runtimes cast once, when they open the file. Vectors, such as biases, stay unchanged.

    Raises:
        ExportError: a weight is beyond the range of float16.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    network = onnx.load_from_string(content)
    casts = []
    for weight in network.graph.initializer:
        if weight.data_type != TensorProto.FLOAT or len(weight.dims) < 2:
            continue
        values, name = numpy_helper.to_array(weight), weight.name
        if np.abs(values).max() > np.finfo(np.float16).max:
            raise ExportError(f"{name}: has values above {np.finfo(np.float16).max:g}, the largest in float16")
        weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}/half"))
        casts.append(helper.make_node("Cast", [weight.name], [name], name=f"{name}/cast", to=TensorProto.FLOAT))
    nodes = [*casts, *network.graph.node]
    del network.graph.node[:]
    network.graph.node.extend(nodes)
    return network.SerializeToString()
