"""The words of the verbs, written by tests/make_keywords.py."""

from __future__ import annotations

from typing import TypedDict

from resnext.exporting.options import CalibrationMethod, ExportDtype, ExportFormat, Normalisation


class ExportKeywords(TypedDict, total=False):
    """The fields of `ExportOptions`."""

    to: ExportFormat | None
    normalisation: Normalisation
    maps: bool
    dtype: ExportDtype
    calibration: CalibrationMethod
    keep_ends: bool
    max_drop: float
    size: int | tuple[int, ...]
    push: str | None
