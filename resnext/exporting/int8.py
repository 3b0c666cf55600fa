"""Post-training quantisation to int8: static, by ONNX Runtime, calibrated on the user's images."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from resnext.engines.engine import check_installed
from resnext.exporting.calibration import BATCH_SIZE, Calibration
from resnext.exporting.options import ExportOptions

OPERATIONS = ["Conv", "Gemm"]  # with additions and pools in int8 as well, OpenVINO was slower (docs/performance.md)


def quantise(content: bytes, calibration: Calibration, options: ExportOptions, folder: Path) -> bytes:
    """Return a network in ONNX with int8 kernels, one scale for each channel, and uint8 activations.

    Args:
        content: the network in ONNX, float32.
        calibration: images whose activations determine the scales.
        options: how the scales are chosen, and whether the first and the last layer stay in float32.
        folder: folder for temporary files.

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


class _Reader:
    """Passes the images to ONNX Runtime, batch by batch."""

    def __init__(self, images: np.ndarray):
        self.batches = iter(np.array_split(images, max(1, len(images) // BATCH_SIZE)))

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self.batches, None)
        return None if batch is None else {"images": batch}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep ONNX Runtime's progress notes off the terminal."""
    level = logging.root.level
    logging.root.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.root.setLevel(level)
