"""The names of several models that are used as one: `A+B+C`."""

from __future__ import annotations

from resnext.errors import ArgumentError
from resnext.files import user_path


def names_of_members(model: str) -> list[str]:
    """Return the models that `A+B+C` joins; an empty list for a single one, such as a file whose name has a plus.

    Raises:
        ArgumentError: one of the names is missing, or comes twice.

    >>> names_of_members("runs/a+runs/b")
    ['runs/a', 'runs/b']
    >>> names_of_members("runs/a")
    []
    """
    if "+" not in model or user_path(model).exists():
        return []
    names = [name.strip() for name in model.split("+")]
    if "" in names:
        raise ArgumentError(f"{model}: has a + without a model on one side. Pass A+B to average models A and B.")
    if twice := [name for number, name in enumerate(names) if name in names[:number]]:
        raise ArgumentError(f"{model}: names {twice[0]} twice. Name each model once.")
    return names
