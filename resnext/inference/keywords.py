"""The words of the verbs, written by tests/make_keywords.py."""

from __future__ import annotations

from typing import TypedDict

from resnext.inference.options import EngineName


class EvaluationKeywords(TypedDict, total=False):
    """The fields of `EvaluationOptions`."""

    size: int | tuple[int, ...]
    crop: float | None
    interpolation: str | None
    crops: int
    flip: bool
    only_data_classes: bool
    engine: EngineName | None
    batch_size: int
    follow_links: bool
    all: bool


class PredictionKeywords(TypedDict, total=False):
    """The fields of `PredictionOptions`."""

    top: int
    threshold: float | None
    calibrated: bool
    embeddings: bool
    follow_links: bool
    engine: EngineName | None
