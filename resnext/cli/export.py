"""Write a trained network in another program's format: export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from resnext.errors import printable
from resnext.exporting.options import LABELS, CalibrationMethod, ExportDtype, ExportOptions, Format, Normalisation


def export(
    model: Annotated[Positional[str], tyro.conf.arg(metavar="MODEL")],
    out: Path,
    format: Format | None = None,
    weights: str | None = None,
    normalisation: Normalisation = "inside",
    maps: tyro.conf.FlagCreatePairsOff[bool] = False,
    dtype: ExportDtype = "float32",
    data: str | None = None,
    calibration: CalibrationMethod = "minmax",
    keep_ends: tyro.conf.FlagCreatePairsOff[bool] = False,
    max_drop: float = 0.01,
    images: Path | None = None,
) -> None:
    """Export a trained network with its classes and the normalisation of images, checked in its own runtime.

    Args:
        model: run folder, file of weights, hf:OWNER/NAME, tag of published weights, or name of a network.
        out: file to write, .onnx, .xml, .tflite or .pt2, with labels.txt beside it; or new folder.
        format: onnx, openvino, litert, torch; or a folder: saved_model, bundle (for timm), triton, ovms; by default
            that of the suffix.
        weights: best or last of a run; of a network by name a file, hf:OWNER/NAME or a tag.
        normalisation: inside the file, which then takes uint8 images, or outside.
        maps: class activation maps as a second output.
        dtype: float32; float16: kernels of half the size; or int8: smaller, and faster where the CPU can.
        data: labelled images for float16 and int8; by default those of the run.
        calibration: how the range of activations is chosen for int8.
        keep_ends: keep the first and the last layer in float32.
        max_drop: share by which top-1 may fall with float16 or int8 before the export is refused.
        images: file, folder or archive of images to compare the file with the network on.
    """
    from resnext.exporting.export import export

    options = ExportOptions(normalisation, maps, dtype, calibration, keep_ends, max_drop)
    done = export(model, out, format=format, weights=weights, options=options, images=images, data=data)
    print(f"exported: {printable(done.path)}, with {LABELS}")
    in_float32 = "" if dtype == "float32" else ", before it was made smaller,"
    print(
        f"checked in its runtime{in_float32} on {done.images} images ({printable(done.source)}): largest difference of "
        f"a probability {done.difference:.1e}"
    )
    if cost := done.cost:
        how = f"; calibrated by {calibration} on {cost.calibrated:,}" if dtype == "int8" else ""
        print(
            f"{dtype}: top-1 {100 * cost.before:.2f} % before, {100 * cost.after:.2f} % after, on {cost.evaluated:,} "
            f"images{how}"
        )
