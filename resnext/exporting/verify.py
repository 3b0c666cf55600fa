"""The comparison of a file with its network before the file is kept."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from resnext.data.batches import prepared
from resnext.data.prediction_inputs import Inputs
from resnext.engines.torch_program import TorchProgram
from resnext.errors import ArgumentError, DataError, ExportError, ImageError, printable
from resnext.exporting.formats import FORMATS
from resnext.exporting.network import Export
from resnext.exporting.options import ExportOptions
from resnext.inference.evaluate import examples_for
from resnext.inference.model import Model

CLOSE = 1e-5  # largest difference of a probability in float32
IMAGES = 17  # compared, in batches of 1, 3 and 17
COARSE = 8  # pixels, side of the random colours that replace images


def sample(export: Export, images: str | Path | Iterable[str | Path] | None) -> tuple[np.ndarray, int, str]:
    """Return IMAGES images to compare, uint8 (images, size, size, 3), the number of distinct ones, and their source."""
    model = export.model
    if images is not None:
        arguments = [images] if isinstance(images, str | Path) else list(images)
        found = (each.source for each in Inputs(arguments) if each.source is not None)
        pixels = list(islice(_readable(model, found), IMAGES))
        if not pixels:
            raise ArgumentError(f"{printable(arguments[0])}: no image to compare on can be read. Pass others.")
        return _repeated(pixels), len(pixels), str(arguments[0])
    with contextlib.suppress(DataError, ArgumentError):  # its images are gone
        if export.source:
            found = examples_for(model, export.source).images
            step = max(1, len(found) // IMAGES)
            if pixels := list(islice(_readable(model, found[::step]), IMAGES)):
                return _repeated(pixels), len(pixels), export.source.name
    known = model.preprocessing
    colours = np.random.default_rng(0).integers(0, 256, (IMAGES, COARSE, COARSE, known.pixel_channels), np.uint8)
    gone = f", because the run's {model.run.config.data} can't be read" if model.run else ""
    return (
        np.stack([dataclasses.replace(known, resize=known.size).apply(each) for each in colours]),
        IMAGES,
        f"random colours{gone}",
    )


def _readable(model: Model, images: Iterable) -> Iterator[np.ndarray]:
    for image in images:
        try:
            yield prepared(image, model.preprocessing)
        except ImageError:
            continue


def _repeated(pixels: list[np.ndarray]) -> np.ndarray:
    return np.stack([pixels[i % len(pixels)] for i in range(IMAGES)])


def largest_difference(model: Model, path: Path, pixels: np.ndarray) -> float:
    """Return the largest difference of a probability between the network and its file, in batches of 1, 3 and 17."""
    file = TorchProgram(path) if path.suffix == FORMATS["torch"].suffix else Model.open(path).engines()[0]
    (network,) = model.in_float32().engines()
    differences = []
    for batch in (1, 3, IMAGES):
        ours = network.outputs(pixels[:batch]).finite(model.name)
        theirs = file.outputs(pixels[:batch])
        differences.append(np.abs(ours.probabilities() - theirs.probabilities()).max())
    return float(np.max(differences))  # NaN if one of them is


def differences_at_sizes(model: Model, path: Path, options: ExportOptions) -> list[float]:
    """Return the largest differences at two other sizes, one of them odd, for a file that takes images of any size."""
    if options.size is None:
        return []
    found, rng, known = [], np.random.default_rng(0), model.preprocessing
    sides = [known.size + more for more in (15, 32)]
    others = [dataclasses.replace(known, size=side, resize=max(side, known.resize)) for side in sides]
    files, networks = Model.open(path).engines(others), model.in_float32().engines(others)
    for side, file, network in zip(sides, files, networks, strict=True):
        pixels = rng.integers(0, 256, (2, side, side, known.pixel_channels), np.uint8)
        ours, theirs = (engine.outputs(pixels).probabilities() for engine in (network, file))
        found.append(float(np.abs(ours - theirs).max()))
    return found


def verify(difference: float, path: Path) -> float:
    """Return the largest difference between a file and its network. Raises ExportError if it exceeds CLOSE."""
    if not difference <= CLOSE:
        raise ExportError(
            f"{path}: its probabilities differ from the network's by up to {difference:.1e}, more than {CLOSE:g}; "
            "it was not kept. Please report this."
        )
    return difference
