"""Post-training quantisation to int8: static, by ONNX Runtime, calibrated on images of the user's."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from resnext.data.batches import prepared
from resnext.data.examples import Examples
from resnext.data.source import DataSource
from resnext.errors import ArgumentError, DataError
from resnext.exporting.options import ExportOptions
from resnext.inference.engines import check_installed
from resnext.inference.evaluate import evaluate_examples, examples_for, source_for
from resnext.inference.model import Model

IMAGES = 256  # to calibrate on
BATCH_SIZE = 16
OPERATIONS = ["Conv", "Gemm"]  # with additions and pools as well, OpenVINO was slower (docs/performance.md)


class Quantised(NamedTuple):
    """What quantisation has cost: top-1 accuracy before and after, and the numbers of images."""

    before: float
    after: float
    evaluated: int
    calibrated: int


class Calibration(NamedTuple):
    """Images to calibrate on, uint8 (images, size, size, 3), and labelled images to evaluate on."""

    images: np.ndarray
    examples: Examples


def calibration_of(model: Model, data: str | Path | None) -> Calibration:
    """Return images of the user's for a model: of the training part where there is one.

    Args:
        model: opened model.
        data: labelled images; None for those that the run was trained on.

    Raises:
        ArgumentError: no data.
        DataError: it cannot be used, or is gone.
    """
    if data is None and model.run is None:
        raise ArgumentError("int8 is calibrated and evaluated on images. Pass labelled ones: --data DATA")
    source = source_for(model, data if data is not None else model.run.config.data)  # pyright: ignore[reportOptionalMemberAccess]
    examples, train = examples_for(model, source), _training_images(model, source)
    step = max(1, len(train) // IMAGES)
    chosen = [train.images[i] for i in range(0, len(train), step)][:IMAGES]
    return Calibration(np.stack([prepared(image, model.preprocessing) for image in chosen]), examples)


def _training_images(model: Model, source: DataSource) -> Examples:
    """Return the images that a run was trained on, the training part of other data, or else all of it."""
    with contextlib.suppress(ArgumentError, DataError):
        return source.splits(model.run.config.options.draw).train if model.run else source.splits().train
    return examples_for(model, source)


def quantise(content: bytes, calibration: Calibration, options: ExportOptions, folder: Path) -> bytes:
    """Return a network in ONNX with int8 kernels, one scale for each channel, and uint8 activations.

    Args:
        content: the network in ONNX, float32.
        calibration: images whose activations give the scales.
        options: how the scales are chosen, and whether the first and the last layer stay in float32.
        folder: folder for files on the way.

    Raises:
        MissingPackageError: onnxruntime is not installed.
    """
    check_installed("onnxruntime", "export in int8")
    import onnx
    from onnxruntime import quantization

    methods: dict[str, Any] = {
        "minmax": quantization.CalibrationMethod.MinMax,
        "entropy": quantization.CalibrationMethod.Entropy,
        "percentile": quantization.CalibrationMethod.Percentile,
    }
    network = onnx.load_from_string(content)
    layers = [node.name for node in network.graph.node if node.op_type in ("Conv", "Gemm") and node.name != "maps"]
    before, after = folder / "float32.onnx", folder / "int8.onnx"
    before.write_bytes(content)
    with _quiet():
        quantization.quantize_static(
            str(before),
            str(after),
            _Reader(calibration.images),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=OPERATIONS,
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            nodes_to_exclude=[layers[0], layers[-1]] if options.keep_ends else [],
            calibrate_method=methods[options.calibration],
        )
    result = after.read_bytes()
    before.unlink()
    after.unlink()
    return result


def cost_of(model: Model, before: Path, after: Path, calibration: Calibration) -> Quantised:
    """Evaluate a network before and after quantisation, both as exported files."""
    examples = calibration.examples
    first, second = (
        evaluate_examples(Model.open(path).build()[0], examples, model.preprocessing, BATCH_SIZE).top(1)
        for path in (before, after)
    )
    return Quantised(first, second, len(examples), len(calibration.images))


class _Reader:
    """Hands the images to ONNX Runtime, batch by batch."""

    def __init__(self, images: np.ndarray):
        self.batches = iter(np.array_split(images, max(1, len(images) // BATCH_SIZE)))

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self.batches, None)
        return None if batch is None else {"images": batch}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep ONNX Runtime's notes on its progress off the terminal."""
    level = logging.root.level
    logging.root.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.root.setLevel(level)
