"""Measure this machine: bench."""

from __future__ import annotations

import dataclasses
from json import dumps
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional

from resnext.cli.tables import print_table
from resnext.errors import ArgumentError
from resnext.files import user_path, write_atomically
from resnext.recipes.naming import get_recipe
from resnext.recipes.recipe import Dtype


def bench(
    what: Annotated[Positional[Literal["conv", "data"]], tyro.conf.arg(metavar="conv|data")],
    data: Annotated[Positional[str], tyro.conf.arg(metavar="[DATA]")] = "",
    variant: str = "resnext50_32x4d",
    batch_size: int = 8,
    image_size: int = 224,
    recipe: str = "paper-imagenet",
    dtype: Dtype = "float32",
    native: tyro.conf.FlagCreatePairsOff[bool] = False,
    json: Path | None = None,
) -> None:
    """Measure this machine: the convolutions of a network by every route, or the data pipeline.

    Args:
        what: conv for the convolutions, data for the data pipeline.
        data: folder or archive of images to read, for data.
        variant: network whose convolutions to time, for conv.
        batch_size: images in a batch.
        image_size: side of the images in pixels, for data.
        recipe: recipe whose crops and augmentations to time, for data.
        dtype: Keras dtype policy, for conv.
        native: time Keras's own grouped convolution as well, which takes seconds a step, for conv.
        json: file to write the results to as well.
    """
    from rich.table import Table

    from resnext import bench

    if batch_size < 1:
        raise ArgumentError(f"`batch_size` must be at least 1. Received: {batch_size}")
    if (what == "data") != bool(data):
        raise ArgumentError("`resnext bench data` needs a folder of images, and `resnext bench conv` accepts none")
    if what == "conv":
        results = list(bench.bench_conv(variant, batch_size, dtype, native))
        table = Table("images", "kernel", "groups", "route", "ms forward and backward", "lowest", "highest", box=None)
        for r in results:
            route = f"{r.route} (used)" if r.chosen else r.route
            shape = (f"{r.side}x{r.side}", f"{r.kernel_size}x{r.kernel_size}, {r.filters}", str(r.groups))
            table.add_row(*shape, route, *(f"{value:.1f}" for value in r.milliseconds))
    else:
        chosen = dataclasses.replace(get_recipe(recipe), image_size=image_size)
        results = list(bench.bench_data(data, chosen, batch_size))
        table = Table("part", "threads", "images/s", box=None)
        for r in results:
            table.add_row(r.part, str(r.threads), f"{r.images_per_second:.0f}")
    print_table(table)
    if json:
        write_atomically(
            user_path(json), dumps([dataclasses.asdict(result) for result in results], indent=1).encode() + b"\n"
        )
