"""Weights: convert."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from resnext.cli.tables import print_line


def convert(
    source: Annotated[Positional[str], tyro.conf.arg(metavar="SOURCE")],
    out: Path,
    to: Annotated[str, tyro.conf.arg(metavar="resnext|torchvision|timm")] = "resnext",
    variant: str | None = None,
    key: str | None = None,
) -> None:
    """Convert weights from torchvision, timm, WSL/SSL files or old Keras libraries, and back to PyTorch.

    Args:
        source: file; run folder (its best weights), or folder from huggingface.co; hf:OWNER/NAME; or tag of published
            weights.
        out: file to write: .safetensors, or .pth for torchvision and timm.
        to: library whose names and shapes the file gets.
        variant: network of the weights if their shapes do not identify it: resnetaa50d has the shapes of resnet50d.
        key: which of several state_dicts in a PyTorch file to convert, such as state_dict_ema.
    """
    from resnext.weights.convert import convert

    converted = convert(source, out, to, variant=variant, key=key)
    head = "no head" if converted.classes is None else f"{converted.classes:,} classes"
    name = converted.variant.name if converted.is_named else f"blocks {converted.variant.blocks}"
    print_line(f"{name}, {head}, {converted.tensors} tensors: {converted.path}")
