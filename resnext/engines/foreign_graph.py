"""Checks of a stranger's graph before a runtime computes it: it may only do what the networks of resnext do."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

MAX_ELEMENTS = 2**28  # of a tensor, for each image: 1 GB in float32


def check_operations(found: Iterable[str], allowed: str) -> None:
    """Raise ValueError if a graph has operations that resnext does not export: some can loop, or write files.

    Args:
        found: names of the operations in the graph.
        allowed: names of the allowed ones, separated by spaces.
    """
    foreign = sorted({*found} - {*allowed.split()})
    if foreign:
        raise ValueError(f"its graph has operations that resnext does not export: {', '.join(foreign)}")


def check_sizes(shapes: Iterable[Sequence[int | None]]) -> None:
    """Raise ValueError if a tensor is too large to be computed.

    Args:
        shapes: shape of each tensor; the first side is the images, and unknown sides are None or negative.
    """
    for shape in shapes:
        elements = math.prod(side for side in shape[1:] if side is not None and side > 0)
        if elements > MAX_ELEMENTS:
            raise ValueError(f"one of its tensors has {elements:,} elements, more than {MAX_ELEMENTS:,}")


def check_finite(constants: Iterable[tuple[str, np.ndarray]]) -> None:
    """Raise ValueError if a weight in a graph is not finite; the border of a max-pool is one number, -infinity.

    Args:
        constants: name and values of each constant.
    """
    for name, values in constants:
        if np.issubdtype(values.dtype, np.floating) and values.size > 1 and not np.isfinite(values).all():
            raise ValueError(f"{name} has values that are not finite")


def check_calls(calls: Mapping[str, Iterable[str]]) -> None:
    """Raise ValueError if a function calls itself, directly or through others: computing it would never end.

    Args:
        calls: names of the functions that each function calls.
    """
    ended: set[str] = set()
    waiting = {name: {*called} & calls.keys() for name, called in calls.items()}
    while ready := [name for name, called in waiting.items() if called <= ended]:
        ended |= {*ready}
        for name in ready:
            del waiting[name]
    if waiting:
        raise ValueError(f"its function {min(waiting)} calls itself, or one that does")
