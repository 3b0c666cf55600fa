"""Options of an export."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from resnext.errors import ArgumentError
from resnext.exporting.formats import ExportFormat
from resnext.keywords import as_call

Normalisation = Literal["inside", "outside"]
ExportDtype = Literal["float32", "float16", "int8"]
CalibrationMethod = Literal["minmax", "entropy", "percentile"]


@dataclass(frozen=True)
class ExportOptions:
    """The options of an export.

    Args:
        to: "onnx" (.onnx), "openvino" (.xml, with a .bin beside it), "litert" (.tflite), "torch" (.pt2); or a
            folder: "saved_model", "bundle" (that timm loads as well), or a model repository for "triton" or "ovms"; by
            default from the suffix.
        normalisation: "inside": the file accepts uint8 images (batch, size, size, 3) and normalises them itself;
            "outside": it accepts normalised float32 images (batch, 3, size, size).
        maps: whether the class activation maps are a second output.
        dtype: "float32"; "float16" for kernels of half the size at the same speed; or "int8" for kernels and
            activations in eight bits: smaller, and faster if the CPU supports it.
        calibration: how the range of activations is chosen for int8: "minmax", "entropy" or "percentile".
        keep_ends: whether the first and the last layer stay in float32.
        max_drop: share by which top-1, or mAP, may fall with float16 or int8 before the export is refused.
        size: "any" for a file (onnx or openvino) that takes images of any size; by default only the model's own.
        push: repository OWNER/NAME on huggingface.co to upload a bundle to; a new one is private.

    Raises:
        ArgumentError: a value that is not allowed.
    """

    to: ExportFormat | None = None
    normalisation: Normalisation = "inside"
    maps: bool = False
    dtype: ExportDtype = "float32"
    calibration: CalibrationMethod = "minmax"
    keep_ends: bool = False
    max_drop: float = 0.01
    size: Literal["any"] | None = None
    push: str | None = None

    def __repr__(self) -> str:
        return as_call(self)

    def __post_init__(self) -> None:
        kinds = {"normalisation": Normalisation, "dtype": ExportDtype, "calibration": CalibrationMethod}
        for name, kind in kinds.items():
            if getattr(self, name) not in get_args(kind):
                allowed = ", ".join(get_args(kind))
                raise ArgumentError(f"`{name}` must be one of {allowed}. Received: {getattr(self, name)!r}")
        if self.size not in (None, "any"):
            raise ArgumentError(f"`size` must be any, or left out. Received: {self.size!r}")
        if self.size and self.dtype != "float32":
            raise ArgumentError(f"--size any is for float32, and --dtype is {self.dtype}. Leave one of them out.")
        if not 0 <= self.max_drop <= 1:
            raise ArgumentError(f"`max_drop` must be from 0 to 1. Received: {self.max_drop}")
        if self.dtype != "int8" and (self.calibration != "minmax" or self.keep_ends):
            raise ArgumentError("--calibration and --keep-ends are for --dtype int8. Leave them out, or pass it.")
        if self.dtype == "int8" and (self.maps or self.normalisation == "outside"):
            raise ArgumentError("int8 accepts uint8 images and has no maps. Leave --maps and --normalisation out.")
