"""Options of the command line: fields of a dataclass, whose values are checked after the line is parsed."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

T = TypeVar("T")


class Unchecked:
    """First base class of an option dataclass: it accepts any value, because tyro would print an error in a box."""

    def __post_init__(self) -> None:
        """Accept anything here; `checked` checks the values later."""


def checked(kind: type[T], options: Any, **changes: Any) -> T:
    """Return the options, with changes, as the dataclass that checks them. Raises ArgumentError."""
    return kind(**dataclasses.asdict(options) | changes)
