"""The aggregated transformations made visible: which of a block's C paths respond to which class.

A block is y = x + sum over C paths of T(x) (Xie et al. 2017, equation 2). In form c path p is a group of the 3x3, and
T(x) is the output of the transition for that group's channels alone. The strength of a path for an image is the root of
the mean square of T(x) over positions and channels.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from resnext.backend import import_keras
from resnext.data.batches import evaluation_batches
from resnext.data.check import check_images
from resnext.engines.keras_engine import KerasEngine
from resnext.errors import ArgumentError
from resnext.inference.evaluate import examples_for, open_data_for
from resnext.inference.evaluation_files import csv_text, new_folder, write_text
from resnext.inference.model import Model
from resnext.pages import plots
from resnext.variants.layer_table import block_name
from resnext.variants.variant import Variant

BATCH_SIZE = 16
PICTURE, TABLE = "paths.png", "paths.csv"


class PathStrengths(NamedTuple):
    """How strongly each path of a block responds to the images of each class."""

    block: str
    classes: tuple[str, ...]  # those that have images
    images: np.ndarray  # int (classes,)
    strengths: np.ndarray  # float64 (classes, paths): mean over the images of a class


def path_strengths(
    model: str | Path | Model,
    data: str | Path,
    *,
    weights: str | None = None,
    block: str | None = None,
    done: Callable[[int, int], None] = lambda images, total: None,
) -> PathStrengths:
    """Measure the strength of the paths of a block over labelled images.

    Args:
        model: as in `evaluate`.
        data: as in `evaluate`.
        weights: as in `evaluate`.
        block: name of a block such as "stage5_block3"; by default the last one.
        done: called after each batch with the number of images done and the total.

    Raises:
        ArgumentError: no such block, or a network whose blocks have one path.
        RunError, WeightsError, DataError, ImageError: as in `evaluate`.

    >>> path_strengths("runs/signs", "sign-digits").strengths.shape  # doctest: +SKIP
    (10, 8)
    """
    opened = Model.open(model, weights)
    opened.check_single("paths belong to one network")
    variant, name = opened.variant, _block(opened.variant, block)
    examples = examples_for(opened, open_data_for(data, False, opened))
    check_images(examples)
    strengths_of = _StrengthsOf(opened, name)
    paths = variant.cardinality
    totals, counts = np.zeros((len(examples.classes), paths)), examples.counts()
    first = 0
    for images, valid in evaluation_batches(examples, opened.preprocessing, BATCH_SIZE):
        has = examples.has(slice(first, first + valid)).astype(np.float64)
        totals += has.T @ strengths_of(images)[:valid]
        first += valid
        done(first, len(examples))
    shown = np.flatnonzero(counts)
    classes = tuple(examples.classes[i] for i in shown)
    return PathStrengths(name, classes, counts[shown], totals[shown] / counts[shown][:, None])


def _block(variant: Variant, name: str | None) -> str:
    """Return the name of a block of several paths. Raises ArgumentError."""
    if variant.cardinality == 1 or variant.block != "bottleneck":
        raise ArgumentError(f"{variant.name}: its blocks have one path. Pass a network of a higher cardinality.")
    names = [block_name(block.stage, block.number) for stage in variant.stages for block in variant.blocks_of(stage)]
    if name is None:
        return names[-1]
    if name not in names:
        raise ArgumentError(f"{variant.name} has no block {name!r}. Its blocks are {', '.join(names)}.")
    return name


class _StrengthsOf:
    """Computes uint8 (batch, size, size, 3) -> strengths, float64 (batch, paths)."""

    def __init__(self, model: Model, block: str):
        import_keras()
        from resnext.model.classifier import attention_scale, path_weights, paths_before_transition

        outputs: list[Any] = ["logits", partial(paths_before_transition, block)]  # with the logits, all layers
        if model.variant.attention:  # it multiplies the sum of the paths, and so each of them
            outputs.append(partial(attention_scale, block))
        (classifier,) = model.build(outputs=outputs)
        self.engine = KerasEngine(classifier)
        kernel = path_weights(classifier, block)
        self.kernels = kernel.reshape(model.variant.cardinality, -1, kernel.shape[1]).astype(np.float64)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        _, features, *scales = self.engine.arrays(images)
        paths, width, channels = self.kernels.shape
        grouped = features.reshape(len(images), -1, paths, width).astype(np.float64)
        positions = grouped.shape[1]
        moments = np.einsum("npcw,npcv->ncwv", grouped, grouped, optimize=True) / (positions * channels)
        if not scales:  # |T|^2 = h W W' h', summed over the positions
            squares = np.einsum("ncwv,cwk,cvk->nc", moments, self.kernels, self.kernels, optimize=True)
        else:
            scale = scales[0].reshape(len(images), channels).astype(np.float64) ** 2
            squares = np.einsum("ncwv,cwk,cvk,nk->nc", moments, self.kernels, self.kernels, scale, optimize=True)
        return np.sqrt(np.maximum(squares, 0))


def write_paths(folder: str | Path, found: PathStrengths) -> tuple[Path, Path]:
    """Write the picture and the table of the paths of a block; return both.

    Args:
        folder: new or empty folder.
        found: result of `path_strengths`.

    Raises:
        ArgumentError: the folder has files already.
    """
    folder = new_folder(folder)
    paths = range(1, found.strengths.shape[1] + 1)
    rows = [
        (name, count, *row)
        for name, count, row in zip(found.classes, found.images, found.strengths.tolist(), strict=True)
    ]
    text = csv_text(("class", "images", *(f"path_{path}" for path in paths)), rows)
    write_text(folder / TABLE, text)
    title = f"{found.block}: strength of its {len(paths)} paths, {found.images.sum():,} images"
    plots.draw_paths(found.strengths, found.classes, title, folder / PICTURE)
    return folder / PICTURE, folder / TABLE
