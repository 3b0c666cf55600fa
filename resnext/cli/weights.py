"""Weights: convert."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from resnext.cli.output import Format, printed
from resnext.cli.tables import print_line
from resnext.errors import ArgumentError
from resnext.variants.names import full_name


def convert(
    source: Annotated[Positional[tuple[str, ...]], tyro.conf.arg(metavar="SOURCE...")],
    out: Path,
    to: Annotated[str, tyro.conf.arg(metavar="resnext|torchvision|timm")] = "resnext",
    variant: str | None = None,
    key: str | None = None,
    data: str | None = None,
    format: Format = "table",
) -> None:
    """Convert weights from torchvision, timm, WSL/SSL files or old Keras libraries, and back to PyTorch; average runs.

    Args:
        source: file; run folder (its best weights), or folder from huggingface.co; hf:OWNER/NAME; or tag of published
            weights. Several runs, or weights in them, are averaged, with new batch-norm statistics.
        out: file to write: .safetensors, or .pth for torchvision and timm.
        to: library whose names and shapes the file gets.
        variant: network of the weights if their shapes do not identify it: resnetaa50d has the shapes of resnet50d.
        key: which of several state_dicts in a PyTorch file to convert, such as state_dict_ema.
        data: data of the first of several runs, if it was moved.
        format: form of what is printed: table, json or csv.
    """
    if len(source) != 1:
        _average(source, out, to, variant, key, data, format)
        return
    from resnext.weights.convert import convert

    if data is not None:
        raise ArgumentError("--data is for averaging several runs. Leave it out.")
    converted = convert(source[0], out, to, variant=variant, key=key)
    classes, network = converted.classes, full_name(converted.variant)
    if printed(format, {"file": converted.path, "network": network, "classes": classes, "tensors": converted.tensors}):
        return
    head = "no head" if converted.classes is None else f"{converted.classes:,} classes"
    name = converted.variant.name if converted.is_named else f"blocks {converted.variant.blocks}"
    print_line(f"{name}, {head}, {converted.tensors} tensors: {converted.path}")


def _average(
    sources: tuple[str, ...], out: Path, to: str, variant: str | None, key: str | None, data: str | None, format: Format
) -> None:
    from resnext.training.average import average_weights

    if to != "resnext" or variant or key:
        raise ArgumentError("--to, --variant and --key are for one SOURCE. Average first, then convert the result.")
    averaged = average_weights(sources, out, data)
    network = averaged.run.config.network
    if printed(format, {"file": averaged.path, "network": network, "runs": averaged.sources}):
        return
    print_line(f"the average of {averaged.sources} runs of {averaged.run.config.network}: {averaged.path}")
