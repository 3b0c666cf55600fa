"""Measure this machine: bench."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal

import tyro
from tyro.conf import Positional

from resnext.cli.output import Format, printed
from resnext.cli.tables import print_table
from resnext.errors import ArgumentError
from resnext.recipes.names import get_recipe
from resnext.recipes.recipe import Dtype


def bench(
    what: Annotated[Positional[Literal["conv", "data", "engines"]], tyro.conf.arg(metavar="conv|data|engines")],
    on: Annotated[Positional[tuple[str, ...]], tyro.conf.arg(metavar="[MODEL|DATA]...")] = (),
    variant: str = "resnext50_32x4d",
    batch_size: int = 8,
    image_size: int = 224,
    recipe: str = "paper-imagenet",
    dtype: Dtype = "float32",
    native: tyro.conf.FlagCreatePairsOff[bool] = False,
    format: Format = "table",
) -> None:
    """Measure this machine: convolutions by every route, the data pipeline, or a trained network in every engine.

    Args:
        what: conv for the convolutions, data for the data pipeline, engines for a trained network.
        on: folder or archive of images, for data; model and, to measure its accuracy, labelled images, for engines.
        variant: network whose convolutions to time, for conv.
        batch_size: images in a batch.
        image_size: side of the images in pixels, for data.
        recipe: recipe whose crops and augmentations to time, for data.
        dtype: Keras dtype policy, for conv.
        native: also time Keras's own grouped convolution, which takes seconds per step, for conv.
        format: form of what is printed: table, json or csv.
    """
    from rich.table import Table

    from resnext import bench

    if batch_size < 1:
        raise ArgumentError(f"`batch_size` must be at least 1. Received: {batch_size}")
    if len(on) not in {"conv": (0,), "data": (1,), "engines": (1, 2)}[what]:
        given = " ".join((what, *on))
        raise ArgumentError(f"usage: resnext bench conv | data DATA | engines MODEL [DATA]. Received: {given}")
    if what == "conv":
        results = list(bench.bench_conv(variant, batch_size, dtype, native))
        table = Table("images", "kernel", "groups", "route", "ms forward and backward", "lowest", "highest", box=None)
        for r in results:
            route = f"{r.route} (used)" if r.chosen else r.route
            shape = (f"{r.side}x{r.side}", f"{r.kernel_size}x{r.kernel_size}, {r.filters}", str(r.groups))
            table.add_row(*shape, route, *(f"{value:.1f}" for value in r.milliseconds))
    elif what == "engines":
        results = bench.bench_engines(*on, batch_size=batch_size)
        table = Table("engine", "ms, one image", f"images/s, {batch_size} at once", "top-1 or mAP", box=None)
        for r in results:
            timings = (r.milliseconds, r.images_per_second)
            speeds = (f"{each.median:.1f} ({each.lowest:.1f} to {each.highest:.1f})" for each in timings)
            table.add_row(r.engine, *speeds, "-" if r.top1 is None else f"{100 * r.top1:.2f} %")
    else:
        chosen = dataclasses.replace(get_recipe(recipe), image_size=image_size)
        results = list(bench.bench_data(on[0], chosen, batch_size))
        table = Table("part", "threads", "images/s", box=None)
        for r in results:
            table.add_row(r.part, str(r.threads), f"{r.images_per_second:.0f}")
    if not printed(format, {"what": what, "results": [_row(each) for each in results]}, "results"):
        print_table(table)


def _row(result: Any) -> dict[str, Any]:
    """Return a result for programs; a range is its median, lowest and highest."""
    return {name: [*value] if isinstance(value, tuple) else value for name, value in vars(result).items()}
