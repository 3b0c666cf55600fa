"""The head of a PyTorch file under another name: in a Sequential, or beside a network that is wrapped."""

from __future__ import annotations

from pathlib import Path

from resnext.errors import WeightsError, printable
from resnext.weights.foreign_names import Shapes

WORDS = ("fc", "last_linear", "head", "classifier", "linear")  # first words of their names


def belongs_to_head(name: str) -> bool:
    """Return whether a tensor's name is one of a head."""
    return name.partition(".")[0] in WORDS


def head_names(path: Path, shapes: Shapes, head: str) -> dict[str, str]:
    """Return the usual names of the tensors of a head that has others: {"fc.1.weight": "fc.weight"}.

    Args:
        path: file, for error messages.
        shapes: shapes of its tensors by name.
        head: the library's name of the head.

    Raises:
        WeightsError: the head has several layers, and resnext's has one.
    """
    inside = [name for name in shapes if belongs_to_head(name)]
    linear = [name.removesuffix(".weight") for name in inside if name.endswith(".weight") and len(shapes[name]) == 2]
    if not linear or f"{head}.weight" in shapes:
        return {}
    names = {f"{linear[0]}.{kind}": f"{head}.{kind}" for kind in ("weight", "bias")}
    if {*inside} - {*names}:
        layers = sorted({name.rpartition(".")[0] for name in inside})
        raise WeightsError(
            f"{path}: its head has {len(layers)} layers ({', '.join(printable(layer, 100) for layer in layers[:5])}), "
            "and a network of resnext has one. Save the network without its head, and train a new one."
        )
    return {name: names[name] for name in inside}
