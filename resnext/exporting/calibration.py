"""The cost of a smaller dtype: images for calibration, and the accuracy before and after."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from resnext.data.batches import prepared
from resnext.data.examples import Examples
from resnext.data.source import DataSource
from resnext.errors import ArgumentError, DataError, ExportError
from resnext.exporting.network import Export
from resnext.exporting.options import ExportOptions
from resnext.inference.evaluate import evaluate_examples, examples_for, open_data_for
from resnext.inference.model import Model
from resnext.metrics.names import NAMES
from resnext.runs.splits import readable, splits_of_run

IMAGES = 256  # for calibration
BATCH_SIZE = 16


class Cost(NamedTuple):
    """The cost of a smaller dtype: top-1 accuracy, or mAP, before and after, and the numbers of images."""

    before: float
    after: float
    evaluated: int
    calibrated: int
    metric: str = "top1"


class Calibration(NamedTuple):
    """Images for calibration, uint8 (images, size, size, 3), and labelled images for evaluation."""

    images: np.ndarray
    examples: Examples


def calibration_of(export: Export, data: str | Path | None) -> Calibration:
    """Return the user's images for a model, from the training part if there is one.

    Args:
        export: network to export.
        data: labelled images; None for those that the run was trained on.

    Raises:
        ArgumentError: there is no data.
        DataError: the data cannot be used, or is gone.
    """
    model = export.model
    try:
        source = open_data_for(data, False, model) if data is not None else export.source
    except DataError as error:
        if data is not None:
            raise
        raise ArgumentError(f"{error}. The run was trained on it; pass labelled images: --data DATA") from error
    if source is None:
        raise ArgumentError("float16 and int8 are evaluated on images. Pass labelled ones: --data DATA")
    examples, train = examples_for(model, source), training_images(model, source)
    step = max(1, len(train) // IMAGES)
    chosen = [train.images[i] for i in range(0, len(train), step)][:IMAGES]
    return Calibration(np.stack([prepared(image, model.preprocessing) for image in chosen]), examples)


def training_images(model: Model, source: DataSource) -> Examples:
    """Return the images that a run was trained on; for other data, its training part or else all of it."""
    with contextlib.suppress(ArgumentError, DataError):
        if model.runs:
            return readable(splits_of_run(source, model.runs[0]).train, model.runs[0])
        return source.splits().train
    return examples_for(model, source)


def cost_of(model: Model, before: Path, after: Path, calibration: Calibration) -> Cost:
    """Evaluate a network in float32 and in a smaller dtype, both as exported files."""
    examples = calibration.examples
    first, second = (
        evaluate_examples(Model.open(path).engines()[0], examples, model.preprocessing, BATCH_SIZE)
        for path in (before, after)
    )
    name = "map" if model.several else "top1"
    return Cost(first.metrics()[name], second.metrics()[name], len(examples), len(calibration.images), name)


def check_cost(cost: Cost, options: ExportOptions, name: str) -> None:
    """Refuse a smaller dtype that costs more than the user allows. Raises ExportError."""
    if cost.before - cost.after <= options.max_drop:
        return
    fall = f"{100 * cost.before:.2f} % to {100 * cost.after:.2f} % on {cost.evaluated:,} images"
    what = f"{options.dtype} {NAMES[cost.metric]}"
    ends = "" if options.keep_ends else "--keep-ends, "
    hint = f"{ends}another --calibration or a higher" if options.dtype == "int8" else "a higher"
    raise ExportError(
        f"{name}: in {what} falls from {fall}, by more than {100 * options.max_drop:g} points; it was "
        f"not kept. Try {hint} --max-drop."
    )
