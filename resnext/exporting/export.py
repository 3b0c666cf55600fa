"""Export a trained network, open the file in its own runtime, and compare the two before anything is replaced."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple, Unpack

import numpy as np

from resnext.engines.description import ENSEMBLE, LABELS, SIZE, THRESHOLDS, Description
from resnext.errors import ArgumentError, counted
from resnext.exporting.calibration import Calibration, Cost, calibration_of, check_cost, cost_of
from resnext.exporting.float16 import halved
from resnext.exporting.int8 import quantise
from resnext.exporting.keywords import ExportKeywords
from resnext.exporting.network import Export, writer_of
from resnext.exporting.options import ExportOptions
from resnext.exporting.preconditions import (
    check_backend,
    check_size,
    check_target,
    chosen_format,
    labels_text,
    place_of_labels,
)
from resnext.exporting.push import check_login, check_push, push
from resnext.exporting.verify import differences_at_sizes, largest_difference, sample, verify
from resnext.files import sync_folder, temporary_folder
from resnext.inference.model import Model
from resnext.keywords import with_keywords
from resnext.variants.names import full_name


class Exported(NamedTuple):
    """The file that `export` wrote, and the results of its verification."""

    path: Path
    difference: float  # largest difference of a probability
    images: int
    source: str  # of the images
    cost: Cost | None = None  # of half precision or int8
    address: str | None = None  # where it was uploaded

    def __repr__(self) -> str:
        checked = f"largest difference of a probability {self.difference:.1e} on {counted(self.images, 'image')}"
        return f"Exported({self.path}: {checked})"


def export(
    model: str | Path | Model,
    out: str | Path,
    *,
    weights: str | None = None,
    images: str | Path | Iterable[str | Path] | None = None,
    data: str | Path | None = None,
    options: ExportOptions | None = None,
    **keywords: Unpack[ExportKeywords],
) -> Exported:
    """Write a trained network in another program's format, with folded batch norm and its classes.

    The file is written beside its place, opened in its own runtime, and compared with the network on images in batches
    of 1, 3 and 17. Only then does it replace an earlier file.

    Args:
        model: run folder, tag of published weights, `hf:OWNER/NAME`, file of weights, or name of a network.
        out: file to write, with labels.txt beside it; or new folder.
        weights: as in `Model.open`.
        images: images for the comparison; by default those that the run held out, or random ones if they are gone.
        data: labelled images, as in `evaluate`, to calibrate int8 and to evaluate it or half precision; by default the
            run's.
        options: complete `ExportOptions`.
        keywords: any of their fields by name, such as `dtype="int8"`.

    Raises:
        ArgumentError, RunError, WeightsError: before anything is written.
        ExportError: the file's outputs differ, or a smaller dtype costs more accuracy than `max_drop`.

    >>> export("runs/signs", "signs.onnx").difference < 1e-5  # doctest: +SKIP
    True
    """
    (chosen,) = with_keywords("export", keywords, options or ExportOptions())
    path = Path(out).expanduser()  # `chosen_format` refuses an empty one
    if data is not None and chosen.dtype == "float32":
        raise ArgumentError("labelled images are for --dtype float16 and int8. To compare on others, pass --images.")
    kind = chosen_format(path, chosen)
    opened = Model.open(model, weights)
    opened.check_network()
    check_target(path, kind, opened)
    check_size(opened, chosen)
    if chosen.push is not None:
        check_push(chosen.push, kind)
    check_backend(kind)
    if chosen.push is not None:
        check_login(chosen.push)
    prepared, write = Export(opened, describe(opened, chosen), chosen), writer_of(kind)
    calibration = None if chosen.dtype == "float32" else calibration_of(prepared, data)
    cost = None
    with temporary_folder(path) as folder:
        written = folder / path.name
        network = write(prepared, written)
        pixels, count, source = sample(prepared, images)
        differences = [largest_difference(opened, network, pixels), *differences_at_sizes(opened, network, chosen)]
        difference = verify(float(np.max(differences)), path)
        if calibration:
            cost = _made_smaller(prepared, calibration, write, network, written)
        place_of_labels(kind, written, network).write_bytes(labels_text(opened.classes))
        for file in sorted(folder.iterdir(), key=lambda file: file == written):  # the network's file last
            os.replace(file, path.with_name(file.name))
    sync_folder(path.parent)
    address = push(path, chosen.push) if chosen.push is not None else None
    return Exported(path, difference, count, source, cost, address)


def describe(model: Model, options: ExportOptions) -> Description:
    """Return the description that the file contains."""
    names = [Path(each.name).resolve().name for each in model.singles]
    facts: dict[str, Any] = {"model": "+".join(names), "resnext": importlib.metadata.version("resnext")}
    if model.members:
        facts[ENSEMBLE] = [full_name(each.variant) for each in model.members]
    if model.run:
        config = model.run.config
        facts |= {"recipe": config.recipe.name, "data": Path(config.data).name, "started_from": config.options.weights}
        facts |= {"versions": config.versions}
    if model.several:
        facts |= {LABELS: "several", THRESHOLDS: [*model.thresholds]}
    if options.size:
        facts[SIZE] = options.size
    if model.published:
        facts |= {"weights": model.published.tag, "licence": model.published.licence}
    if options.dtype == "float16":
        facts["quantisation"] = {"dtype": "float16"}
    if options.dtype == "int8":
        facts["quantisation"] = {"dtype": "int8", "calibration": options.calibration, "keep_ends": options.keep_ends}
    kind = "uint8" if options.normalisation == "inside" else "normalised"
    return Description(model.variant, model.classes, model.preprocessing, kind, facts)


def _made_smaller(
    export: Export, calibration: Calibration, write: Callable[[Export, Path], Path], network: Path, written: Path
) -> Cost:
    """Replace the written file by the network in a smaller dtype. Raises ExportError if that costs too much."""
    folder, options = written.with_name("smaller"), export.options
    folder.mkdir()
    is_int8 = options.dtype == "int8"
    small = quantise(export.onnx, calibration, options, folder) if is_int8 else halved(export.onnx)
    smaller = write(dataclasses.replace(export, small=small), folder / written.name)
    cost = cost_of(export.model, network, smaller, calibration)
    check_cost(cost, options, written.name)
    for file in list(folder.iterdir()):
        if file.is_dir():
            shutil.rmtree(written)
        os.replace(file, written.with_name(file.name))
    folder.rmdir()
    return cost
