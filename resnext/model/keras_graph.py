"""The graph of a functional model: Keras has no public access to its nodes, so all use of private names is here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras


def nodes(model: keras.Model) -> Iterator[Any]:
    """Yield the calls of the operations of a functional model, from its inputs to its outputs."""
    by_depth = model._nodes_by_depth
    for depth in sorted(by_depth, reverse=True):
        yield from by_depth[depth]


def producer(tensor: keras.KerasTensor) -> Any:
    """Return the operation that produced a symbolic tensor."""
    return tensor._keras_history.operation
