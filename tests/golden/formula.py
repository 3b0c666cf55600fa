"""Weights and images that follow from a name and a shape: the same numbers wherever they are made."""

import math
import zlib

import numpy as np


def array(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Of a tensor with PyTorch's name and shape: sizes as in a trained network, float32."""
    u = _uniform(name, shape)
    if name.endswith("running_var") or (len(shape) == 1 and name.endswith(".weight")):
        return (0.5 + u).astype(np.float32)
    if len(shape) < 2:
        return (0.2 * u - 0.1).astype(np.float32)
    if name in ("pictures", "targets"):
        return (4 * u - 2).astype(np.float32)
    fan_in = math.prod(shape[1:])
    return ((2 * u - 1) * math.sqrt(3 / fan_in)).astype(np.float32)


def sample(values: np.ndarray, count: int) -> list[float]:
    """Values from all over an array, with 7 digits."""
    flat = np.ascontiguousarray(values).ravel()
    places = np.linspace(0, flat.size - 1, min(count, flat.size)).round().astype(int)
    return [float(f"{value:.7g}") for value in flat[places]]


def _uniform(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers from 0 to 1 without order: the fraction of a large sine (float64)."""
    phase = zlib.crc32(name.encode()) % 10_007
    counts = np.arange(1, math.prod(shape) + 1, dtype=np.float64)
    return (np.sin(counts * 12.9898 + phase) * 43_758.5453 % 1).reshape(shape)
