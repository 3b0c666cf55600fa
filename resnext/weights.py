"""Weights in and out of files: safetensors, loaded strictly or not at all."""

import os
from pathlib import Path

import keras

from resnext.forms import get_weights, set_weights, weight_shapes


class WeightsError(ValueError):
    """A weights file that can't be read or does not fit; the message lists every tensor that is at odds."""


def save_weights(model: keras.Model, path: str | Path) -> None:
    """Write the weights to a safetensors file, as form c has them; an old file stays whole until the new one is.

    >>> save_weights(network, "network.safetensors")  # doctest: +SKIP
    """
    from safetensors.numpy import save_file

    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        save_file(get_weights(model), temporary, metadata={"format": "resnext"})
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def load_weights(model: keras.Model, path: str | Path) -> None:
    """Read weights that `save_weights` wrote into a network of the same variant, in any equal form.

    Raises:
        WeightsError: no such file, not safetensors, or its tensors are not exactly the network's. A tensor that only
            the file has is listed with `+`, one that only the network has with `-`.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file. Allowed: None, or a .safetensors file of resnext.")
    try:
        with safe_open(path, framework="numpy") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            _check_fit(path, shapes, weight_shapes(model))
            weights = {name: file.get_tensor(name) for name in shapes}
    except SafetensorError as error:
        raise WeightsError(f"{path}: not a whole safetensors file ({error}).") from error
    set_weights(model, weights)


def _check_fit(path, given: dict, expected: dict) -> None:
    odds = [f"+ {name} {given[name]}" for name in sorted(given.keys() - expected.keys())]
    odds += [f"- {name} {expected[name]}" for name in sorted(expected.keys() - given.keys())]
    odds += [
        f"+ {name} {given[name]}\n- {name} {expected[name]}"
        for name in sorted(given.keys() & expected.keys())
        if given[name] != expected[name]
    ]
    if odds:
        raise WeightsError(
            f"{path}: these tensors are not the network's (+ the file's, - the network's):\n" + "\n".join(odds)
        )
