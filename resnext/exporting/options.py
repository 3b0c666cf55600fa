"""What can be chosen in an export."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from resnext.errors import ArgumentError

Normalisation = Literal["inside", "outside"]


@dataclass(frozen=True)
class ExportOptions:
    """Options of an export.

    Args:
        normalisation: "inside": the file takes uint8 images (batch, size, size, 3) and normalises them itself;
            "outside": it takes normalised float32 images (batch, 3, size, size).
        maps: whether the class activation maps are a second output.

    Raises:
        ArgumentError: a value that is not allowed.
    """

    normalisation: Normalisation = "inside"
    maps: bool = False

    def __post_init__(self) -> None:
        if self.normalisation not in get_args(Normalisation):
            allowed = ", ".join(get_args(Normalisation))
            raise ArgumentError(f"`normalisation` must be one of {allowed}. Received: {self.normalisation!r}")
