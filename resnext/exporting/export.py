"""Export a trained network, open it again in its own runtime, and compare the two, before anything is replaced."""

from __future__ import annotations

import importlib.metadata
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, get_args

import numpy as np

from resnext.data.batches import prepared
from resnext.data.inputs import find_inputs
from resnext.errors import ArgumentError, DataError, ExportError, ImageError, printable
from resnext.exporting import to_bundle, to_onnx, to_openvino
from resnext.exporting.int8 import Calibration, Quantised, calibration_of, cost_of, quantise
from resnext.exporting.options import LABELS, ExportOptions, Format
from resnext.files import sync_folder, temporary_folder, user_path
from resnext.inference.engines import Description
from resnext.inference.evaluate import examples_for, log_softmax, outputs_of, source_for
from resnext.inference.model import Model
from resnext.inference.onnx_model import onnx_model

SUFFIXES: dict[str, str] = {"onnx": ".onnx", "openvino": ".xml", "bundle": ""}  # "": a folder
WRITERS = {"onnx": to_onnx, "openvino": to_openvino}
CLOSE = 1e-5  # largest difference of a probability in float32
IMAGES = 17  # that are compared, in batches of 1, 3 and 17


class Exported(NamedTuple):
    """What `export` has written, and how it was checked."""

    path: Path
    difference: float  # largest, of a probability
    images: int
    source: str  # of the images
    quantised: Quantised | None = None


def export(
    model: str | Path | Model,
    out: str | Path,
    *,
    format: Format | None = None,
    weights: str | None = None,
    options: ExportOptions = ExportOptions(),  # noqa: B008 - frozen
    images: str | Path | Iterable[str | Path] | None = None,
    data: str | Path | None = None,
) -> Exported:
    """Write a trained network in the format of another program, with batch norm folded and the classes in it.

    The file is written beside its place, opened in its own runtime, and compared with the network on images in batches
    of 1, 3 and 17. Only then it replaces what was there before.

    Args:
        model: run folder, tag of published weights, `hf:OWNER/NAME`, file of weights, or name of a network.
        out: file to write, with labels.txt beside it; or new folder.
        format: "onnx" (.onnx), "openvino" (.xml, with a .bin beside it) or "bundle" (a folder that timm loads as well);
            by default that of the suffix.
        weights: as in `Model.open`.
        options: normalisation inside or outside, activation maps, int8.
        images: images to compare on; by default those that the run held out, or random ones where they are gone.
        data: labelled images, as in `evaluate`, to calibrate int8 and to evaluate it; by default the run's.

    Raises:
        ArgumentError, RunError, WeightsError: before anything is written.
        ExportError: the file computes something else, or int8 costs more accuracy than `max_drop`.

    >>> export("runs/signs", "signs.onnx").difference < 1e-5  # doctest: +SKIP
    True
    """
    path = user_path(out)
    chosen = _format(format, path)
    opened = Model.open(model, weights)
    _check_target(path, chosen, opened)
    description = describe(opened, options)
    if chosen == "bundle" and options != ExportOptions():
        raise ArgumentError("a bundle has the weights as they are, for other programs to build the network. Leave out "
                            "--maps, --normalisation and --dtype.")  # fmt: skip
    calibration = calibration_of(opened, data) if options.dtype == "int8" else None
    quantised = None
    with temporary_folder(path) as folder:
        written = folder / path.name
        content = b"" if chosen == "bundle" else onnx_model(opened, description, options.maps)
        if chosen == "bundle":
            to_bundle.write(opened, description, written)
        else:
            WRITERS[chosen].write(content, description, written)
        pixels, source = sample(opened, images)
        difference = _checked(largest_difference(opened, written, pixels), path)
        if calibration:
            quantised = _quantised(opened, content, description, options, calibration, WRITERS[chosen], written)
        place = written if written.is_dir() else folder
        (place / LABELS).write_bytes(_labels(opened))
        for file in sorted(folder.iterdir(), key=lambda file: file == written):  # the file itself last
            os.replace(file, path.with_name(file.name))
    sync_folder(path.parent)
    return Exported(path, difference, len(pixels), source, quantised)


def _checked(difference: float, path: Path) -> float:
    """Return the difference of a file from its network. Raises ExportError where that is too large."""
    if not difference <= CLOSE:
        raise ExportError(
            f"{path}: its probabilities differ from the network's by up to {difference:.1e}, more than {CLOSE:g}; "
            "it was not kept. Please report this."
        )
    return difference


def _quantised(
    model: Model,
    content: bytes,
    description: Description,
    options: ExportOptions,
    calibration: Calibration,
    writer: ModuleType,
    written: Path,
) -> Quantised:
    """Replace a file by its network in int8. Raises ExportError where that costs too much accuracy."""
    folder = written.with_name("int8")
    folder.mkdir()
    small = folder / written.name
    writer.write(quantise(content, calibration, options, folder), description, small)
    cost = cost_of(model, written, small, calibration)
    if cost.before - cost.after > options.max_drop:
        raise ExportError(
            f"{written.name}: in int8 top-1 falls from {100 * cost.before:.2f} % to {100 * cost.after:.2f} % on "
            f"{cost.evaluated:,} images, by more than {100 * options.max_drop:g} points; it was not kept. Try "
            "--keep-ends, another --calibration or a higher --max-drop."
        )
    for file in list(folder.iterdir()):
        os.replace(file, written.with_name(file.name))
    folder.rmdir()
    return cost


def _format(format: str | None, path: Path) -> str:
    """Return the format that is asked for, or that the suffix names. Raises ArgumentError."""
    by_suffix = {suffix: name for name, suffix in SUFFIXES.items() if suffix}
    chosen = format or by_suffix.get(path.suffix.lower())
    if chosen is None:
        raise ArgumentError(f"{path}: the suffix names no format. Use {', '.join(by_suffix)}, or pass --format.")
    if chosen not in get_args(Format):
        raise ArgumentError(f"`format` must be one of {', '.join(get_args(Format))}. Received: {chosen!r}")
    if SUFFIXES[chosen] and path.suffix.lower() != SUFFIXES[chosen]:
        raise ArgumentError(f"{path}: {chosen} files end in {SUFFIXES[chosen]}. Choose such a name.")
    return chosen


def _check_target(path: Path, format: str, model: Model) -> None:
    """Refuse a place that cannot be written to, or whose labels are those of another network. Raises ArgumentError."""
    if format == "bundle":
        if path.exists() or not path.parent.is_dir():
            reason = "exists already" if path.exists() else "the folder that it is to be in does not exist"
            raise ArgumentError(f"{printable(path)}: {reason}. Pass a new folder.")
        return
    if path.is_dir() or not path.parent.is_dir():
        reason = "is a folder" if path.is_dir() else "its folder does not exist"
        raise ArgumentError(f"{printable(path)}: {reason}. Pass a file in an existing folder.")
    labels = path.with_name(LABELS)
    if labels.exists() and labels.read_bytes() != _labels(model):
        raise ArgumentError(f"{printable(labels)}: belongs to a network of other classes. Choose another folder.")


def _labels(model: Model) -> bytes:
    """Return the content of labels.txt: a class on each line."""
    return "".join(f"{name}\n" for name in model.classes).encode()


def describe(model: Model, options: ExportOptions) -> Description:
    """Return what the file says of itself."""
    facts: dict[str, Any] = {"model": Path(model.name).name, "resnext": importlib.metadata.version("resnext")}
    if model.run:
        config = model.run.config
        facts |= {"recipe": config.recipe.name, "data": Path(config.data).name, "started_from": config.options.weights}
        facts |= {"versions": config.versions}
    if model.published:
        facts |= {"weights": model.published.tag, "licence": model.published.licence}
    if options.dtype == "int8":
        facts["quantisation"] = {"dtype": "int8", "calibration": options.calibration, "keep_ends": options.keep_ends}
    kind = "uint8" if options.normalisation == "inside" else "normalised"
    return Description(model.variant, model.classes, model.preprocessing, kind, facts)


def sample(model: Model, images: str | Path | Iterable[str | Path] | None) -> tuple[np.ndarray, str]:
    """Return images to compare on, uint8 (images, size, size, 3), and where they are from."""
    if images is not None:
        arguments = [images] if isinstance(images, str | Path) else list(images)
        found = (each.source for each in find_inputs(arguments, Counter()) if each.source is not None)
        pixels = list(islice(_readable(model, found), IMAGES))
        if not pixels:
            raise ArgumentError(f"{printable(arguments[0])}: no image to compare on can be read. Pass others.")
        return _repeated(pixels), str(arguments[0])
    if model.run:
        data = model.run.config.data
        try:
            found = examples_for(model, source_for(model, data)).images
            step = max(1, len(found) // IMAGES)
            pixels = list(islice(_readable(model, found[::step]), IMAGES))
        except (DataError, ArgumentError):
            pixels = []
        if pixels:
            return _repeated(pixels), data
    size = model.preprocessing.size
    return np.random.default_rng(0).integers(0, 256, (IMAGES, size, size, 3), np.uint8), "random pixels"


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
    networks = model.in_float32().build() + Model.open(path).build()
    differences = []
    for batch in (1, 3, IMAGES):
        ours, theirs = (log_softmax(outputs_of(network, pixels[:batch])[0]) for network in networks)
        differences.append(np.abs(np.exp(ours) - np.exp(theirs)).max())
    return float(np.max(differences))  # NaN where one is
