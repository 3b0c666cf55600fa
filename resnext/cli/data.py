"""Data sets: check-data, preview."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from tyro.conf import Positional

from resnext.cli.output import Format, printed
from resnext.cli.progress import bar
from resnext.cli.tables import print_line, print_table
from resnext.cli.training import RecipeGroup, to_recipe, to_settings
from resnext.errors import DataError, printable
from resnext.recipes.recipe import Recipe

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from resnext.data.check import DataReport


def preview_command(defaults: Recipe) -> Callable[..., None]:
    """Return the command `preview`, whose options default to the values of the recipe."""

    def preview(
        data: Annotated[Positional[str], tyro.conf.arg(metavar="DATA")],
        recipe: RecipeGroup = to_settings(defaults),  # noqa: B008
        out: Path = Path("preview.png"),
        seed: int = 0,
        follow_links: tyro.conf.FlagCreatePairsOff[bool] = False,
        format: Format = "table",
    ) -> None:
        """Draw a sheet of training images: each row shows one as it is evaluated, then as a recipe augments it.

        Args:
            data: data set, as for train.
            recipe: settings of the recipe.
            out: image to write, .png or .jpg.
            seed: seed of the augmentation.
            follow_links: read images through links that lead out of the folder of the data.
            format: form of what is printed: table, json or csv.
        """
        from resnext.pages.preview import preview

        file = preview(data, out, recipe=to_recipe(recipe), seed=seed, follow_links=follow_links)
        if not printed(format, {"file": file}):
            print_line(f"preview: {file}")

    return preview


def check_data(
    data: Annotated[Positional[str], tyro.conf.arg(metavar="DATA")],
    follow_links: tyro.conf.FlagCreatePairsOff[bool] = False,
    format: Format = "table",
) -> None:
    """Read every image of a data set and report classes, sizes, formats, duplicates, and files that can't be read.

    Args:
        data: folder, archive or built-in data set, as for train.
        follow_links: read images through links that lead out of the folder of the data.
        format: form of what is printed: table, json or csv.
    """
    from resnext.data.check import check_data

    with bar("checking") as done:
        report = check_data(data, follow_links=follow_links, done=done)
    if printed(format, {**dataclasses.asdict(report), "images": report.images}, "parts"):
        for fault in report.bad:
            logger.warning(f"can't be read: {fault}")
    else:
        _print_report(report)
    if report.bad:
        raise DataError(
            f"{len(report.bad)} of {report.images} images can't be read, for the reasons above; repair or remove them"
        )


def _print_report(report: DataReport) -> None:
    print_line(f"labels: {report.labels_from}")
    _print_counts(report)
    for part in report.parts:
        formats = ", ".join(f"{count:,} {name}" for name, count in part.formats.items())
        sizes = ", ".join(f"{width}x{height}" for width, height in part.sizes)
        print_line(f"{part.name}: {part.images:,} images ({formats}); smallest, median, largest: {sizes}")
    for what, pairs in (
        ("images of other parts that are in train as well", report.in_train_too),
        ("images with the same pixels as an image of another class", report.contradictions),
    ):
        print_line(f"{what}: {len(pairs):,}")
        for pair in pairs[:5]:
            print_line(f"  {printable(pair[0])} = {printable(pair[1])}")
    for words in report.left_out:
        print_line(words)
    for fault in report.bad:
        print_line(f"can't be read: {fault}")


def _print_counts(report: DataReport) -> None:
    """Print a table with a row for each class and a column for each part."""
    from rich.markup import escape
    from rich.table import Table

    table = Table("class", *(part.name for part in report.parts), box=None)
    for name in report.parts[0].counts:
        table.add_row(escape(printable(name)), *(f"{part.counts[name]:,}" for part in report.parts))
    print_table(table)
