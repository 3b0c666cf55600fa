"""Weights: convert."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from resnext.files import user_path


def convert(
    source: Annotated[Positional[str], tyro.conf.arg(metavar="SOURCE")],
    out: Path,
    to: Annotated[str, tyro.conf.arg(metavar="resnext|torchvision|timm")] = "resnext",
) -> None:
    """Convert weights from torchvision, timm, WSL/SSL files or old Keras libraries, and back to PyTorch.

    Args:
        source: file; hf:OWNER/NAME; tag of published weights; or run folder (its best weights).
        out: file to write: .safetensors, or .pth for torchvision and timm.
        to: library whose names and shapes the file gets.
    """
    from resnext.runs.run import Run
    from resnext.weights.convert import convert

    if user_path(source).is_dir():
        source = str(Run.open(source).weights("best"))
    converted = convert(source, out, to)
    head = "no head" if converted.classes is None else f"{converted.classes:,} classes"
    name = converted.variant.name if converted.is_named else f"blocks {converted.variant.blocks}"
    print(f"{name}, {head}, {converted.tensors} tensors: {converted.path}")
