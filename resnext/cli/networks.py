"""Networks and published weights: list, info."""

from __future__ import annotations

import os
from typing import Annotated

import tyro
from rich.table import Table
from tyro.conf import Positional

from resnext.cli.documents import (
    document_of_model,
    document_of_network,
    document_of_run,
    document_of_weights,
    entries_of_weights,
    entry_of_network,
    parameters_of,
)
from resnext.cli.output import Format, printed
from resnext.cli.tables import print_line, print_table
from resnext.errors import ArgumentError, NotFoundError, did_you_mean, listed, printable
from resnext.files import user_path
from resnext.images.preprocessing import Preprocessing
from resnext.inference.misplaced import check_order
from resnext.inference.model import Model
from resnext.runs.history import metric_in_words
from resnext.runs.lock import owner
from resnext.runs.run import Run, command_to_resume, is_run
from resnext.variants.complexity import complexity, stage_complexities
from resnext.variants.names import get_variant, list_variants
from resnext.variants.published import PUBLISHED
from resnext.variants.variant import Variant
from resnext.weights.published import NON_COMMERCIAL, PublishedWeights, find_weights, list_weights

NOT_RECORDED = "none recorded"


def list_(
    pattern: Annotated[Positional[str], tyro.conf.arg(metavar="PATTERN")] = "*",
    weights: tyro.conf.FlagCreatePairsOff[bool] = False,
    format: Format = "table",
) -> None:
    """List the published networks with their parameters, multiply-adds and published errors.

    Args:
        pattern: shell pattern, such as 'resnext101*'.
        weights: list published weights instead, by tag: accuracy, size, licence.
        format: form of what is printed: table, json or csv.
    """
    if weights:
        _list_weights(pattern, format)
    else:
        _list_variants(pattern, format)


def _list_variants(pattern: str, format: Format) -> None:
    names = list_variants(pattern)
    if not names:
        hint = f" Did you mean {pattern}*?" if list_variants(f"{pattern}*") else did_you_mean(pattern, list_variants())
        raise NotFoundError(f"no published network matches {pattern!r}.{hint} `resnext list` shows all of them")
    entries = [entry_of_network(name) for name in names]
    if printed(format, {"networks": entries}, "networks"):
        return
    table = Table("variant", "parameters", "multiply-adds", "published top-1 error", box=None)
    for each in entries:
        error = NOT_RECORDED if each["top1_error"] is None else f"{each['top1_error']} % ({each['dataset']})"
        billions = f"{each['multiply_adds'] / 1e9:.2f} G"
        table.add_row(each["network"], _millions(each["parameters"]), billions, error)
    print_table(table)


def _list_weights(pattern: str, format: Format) -> None:
    tags = list_weights(pattern)
    if not tags:
        hint = f" Did you mean {pattern}*?" if list_weights(f"{pattern}*") else did_you_mean(pattern, list_weights())
        raise NotFoundError(f"no published weights match {pattern!r}.{hint} `resnext list --weights` shows all of them")
    entries = {tag: entries_of_weights(tag) for tag in tags}
    if printed(format, {"weights": [row for rows in entries.values() for row in rows]}, "weights"):
        return
    table = Table("weights", "parameters", "top-1", "top-5", "pixels", "licence", box=None)
    for tag, rows in entries.items():
        for number, each in enumerate(rows):
            accuracy = [f"{each[name]} %" if each[name] else "-" for name in ("top1", "top5")]
            *first, last = (tag, _millions(each["parameters"]), each["licence"]) if number == 0 else ("", "", "")
            table.add_row(*first, *accuracy, str(each["image_size"]), last)
    print_table(table)


def _millions(number: int) -> str:
    return f"{number / 1e6:.1f} M"


def info(
    variant: Annotated[Positional[str], tyro.conf.arg(metavar="NETWORK|TAG|MODEL")], format: Format = "table"
) -> None:
    """Show a network as Table 1 of the paper does: stages, costs and published error; or weights, a run or a model.

    Args:
        variant: name such as resnext50_32x4d; tag of published weights such as resnext50_32x4d.a1_in1k; run folder; or
            file of weights or exported file.
        format: form of what is printed: table, json or csv.
    """
    if is_run(user_path(variant)):
        _info_of_run(Run.open(variant), format)
        return
    check_order(None, variant)
    known = find_weights(variant)
    if known:
        _info_of_weights(known, format)
    else:
        _info_of_variant(variant, format)


def _info_of_weights(known: PublishedWeights, format: Format) -> None:
    if printed(format, document_of_weights(known)):
        return
    cost = complexity(known.variant, classes=known.classes)
    print_line(f"weights        {known.tag}")
    print_line(f"network        {known.variant}")
    print_line(f"classes        {known.classes:,}")
    print_line(f"parameters     {cost.parameters:,}")
    print_line(f"licence        {NON_COMMERCIAL.get(known.licence, known.licence)}")
    if known.hub:
        print_line(f"source         hf:{known.hub}")
    if known.url:
        print_line(f"file           {known.url}")
    print_line(f"normalisation  mean {known.preprocessing.mean}, standard deviation {known.preprocessing.std}")
    for preprocessing, top1, top5 in known.accuracies:
        how = f"resize {preprocessing.resize}, crop {preprocessing.size}, {preprocessing.interpolation}"
        accuracy = f"top-1 {top1} %, top-5 {top5} %" if top1 else "no published accuracy"
        print_line(f"ImageNet-1K    {accuracy}  ({how})")


def _info_of_run(run: Run, format: Format) -> None:
    if printed(format, document_of_run(run)):
        return
    config, process = run.config, owner(run.folder)
    print_line(f"run            {run.folder}")
    print_line(f"state          {run.progress}{f' (process {process} is training in it)' if process else ''}")
    print_line(f"network        {config.network}, {config.cost.parameters:,} parameters")
    print_line(f"classes        {len(config.classes):,}: {listed(config.classes)}")
    print_line(f"data           {printable(config.data)}")
    print_line(f"recipe         {config.recipe.name}")
    print_line(f"images         {_images_in_words(config.preprocessing)}")
    if config.options.weights:
        print_line(f"started from   {config.options.weights}")
    print_line(f"versions       {', '.join(f'{name} {version}' for name, version in config.versions.items())}")
    if run.epochs_done:
        for name, row in (("best", run.history.best), ("last", run.history.last)):
            print_line(f"{name}           validation {metric_in_words(row, config.recipe.best_by)} (epoch {row.epoch})")
    if not run.is_finished and not process:
        print_line(f"to resume      {command_to_resume(run.folder)}")


def _info_of_model(model: Model, format: Format) -> None:
    """Print what a file of weights, or an exported file, says of itself."""
    if printed(format, document_of_model(model)):
        return
    known = model.preprocessing
    print_line(f"model          {model.name}")
    print_line(f"network        {model.variant.name}, {parameters_of(model):,} parameters")
    print_line(f"classes        {len(model.classes):,}: {listed(model.classes)}")
    print_line(f"images         {_images_in_words(known)}")
    print_line(f"normalisation  mean {known.mean}, standard deviation {known.std}")
    if model.file:
        print_line(f"runtime        {model.file.title}, from {model.file.description.input} images")


def _images_in_words(known: Preprocessing) -> str:
    channels = {"rgb": "", "grey": ", grey"}.get(str(known.channels), f", {known.channels} channels")
    return f"{known.size} pixels, resized to {known.resize}, {known.fit}{channels}"


def _info_of_variant(variant: str, format: Format) -> None:
    try:
        network = get_variant(variant)
    except ArgumentError:
        if not (user_path(variant).exists() or "/" in variant or os.sep in variant):
            raise  # a misspelt name of a network
        _info_of_model(Model.open(variant), format)
        return
    descriptions, departures = _descriptions(network), _departures(network)
    if printed(format, document_of_network(network, descriptions, departures)):
        return
    table = Table("stage", "output", network.name, "parameters", "multiply-adds", box=None)
    rows, cost = stage_complexities(network), complexity(network)
    pool = "2x2 average-pool, flattened" if network.departures.keeps_positions else "global average pool"
    for row, description in zip(rows, descriptions, strict=True):
        table.add_row(
            f"conv{row.number}",
            f"{row.height}x{row.width}",
            description.replace("[", r"\["),
            f"{row.cost.parameters:,}",
            f"{row.cost.multiply_adds:,}",
        )
    table.add_row(
        "head",
        "1x1",
        f"{pool}, {network.default_classes}-d fc, softmax",
        f"{cost.parameters - sum(row.cost.parameters for row in rows):,}",
        f"{cost.multiply_adds - sum(row.cost.multiply_adds for row in rows):,}",
    )
    print_table(table)
    print_line(f"depth {network.depth}, cardinality {network.cardinality}, bottleneck width {network.bottleneck_width}")
    print_line(
        f"parameters     {cost.parameters:,}  ({cost.parameters + cost.moving_statistics:,} with moving statistics)"
    )
    print_line(f"multiply-adds  {cost.multiply_adds:,}")
    print_line(f"activations    {cost.activations:,}")
    if departures:
        print_line("departs from the paper:")
        for departure in departures:
            print_line(f"- {departure}")
    if PUBLISHED.get(network.name) == ():
        print_line(f"published error: {NOT_RECORDED} by its authors")
    for error in PUBLISHED.get(network.name, ()):
        top5 = "" if error.top5 is None else f", top-5 {error.top5} %"
        print_line(f"published error on {error.dataset}: top-1 {error.top1} %{top5}  ({error.source})")


def _departures(network: Variant) -> list[str]:
    """Return where a network departs from the paper."""
    slices = ["each path sees its slice of the input"] if network.sliced else []
    is_other = network.block == "bottleneck" and network.shortcut != "B" and not network.lineage
    shortcut = [f"shortcut {network.shortcut}, not B"] if is_other else []
    return [*slices, *shortcut, *network.departures.in_words()]


def _descriptions(network: Variant) -> list[str]:
    """Describe each stage, the stem first, as Table 1 of the paper does."""
    convolutions = network.stem_convolutions
    stride = ", stride 2" if convolutions[0].strides == 2 else ""
    widths, side = ", ".join(str(each.filters) for each in convolutions), convolutions[0].kernel_size
    times = " three times" if len(convolutions) == 3 else ""
    descriptions = [f"{side}x{side}{times}, {widths}{stride}"]
    pool = "2x2 average-pool" if network.anti_aliasing else "3x3 max-pool"
    for stage in network.stages:
        width = network.cardinality * stage.group_width
        if network.block == "bottleneck":
            layers = [
                f"1x1, {width}{f', C={network.cardinality}' if network.sliced else ''}",
                f"3x3, {width}, C={network.cardinality}",
                f"1x1, {stage.channels}",
            ]
        else:
            layers = [f"3x3, {width}", f"3x3, {stage.channels}"]
        layers += [network.attention] if network.attention else []
        first = f"{pool}, stride 2; " if stage.number == 2 and network.stem == "imagenet" else ""
        descriptions.append(f"{first}[{'; '.join(layers)}] x {stage.blocks}")
    return descriptions
