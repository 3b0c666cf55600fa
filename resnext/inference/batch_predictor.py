"""Predictions for other programs' batches: Ray Data's `map_batches`, and anything else that passes columns."""

from __future__ import annotations

import io
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from resnext.data.batches import reading_threads
from resnext.errors import ArgumentError
from resnext.inference.model import Model
from resnext.inference.options import PredictionOptions
from resnext.inference.predict import Classifier, or_reason

COLUMNS = ("path", "bytes", "image")


class BatchPredictor:
    """Classifies batches of columns. It is built once in each process and then called for each batch.

    The images are read from the first of these columns that exists: "bytes" (contents of image files), "image" (uint8
    (height, width, 3) each), "path". The columns "answer", "probability" and "error" are added, and "embedding" if
    requested; the others are passed on.

    Args:
        model: as in `predict`.
        weights: as in `predict`.
        options: as in `predict`.

    Raises:
        ArgumentError, RunError, WeightsError: as in `predict`.

    >>> images = ray.data.read_binary_files("photos", include_paths=True)  # doctest: +SKIP
    >>> images.map_batches(  # doctest: +SKIP
    ...     BatchPredictor, fn_constructor_args=["runs/signs"], batch_size=64, concurrency=4
    ... ).drop_columns(["bytes"]).write_parquet("predictions")
    """

    def __init__(
        self,
        model: str | Path | Model,
        weights: str | None = None,
        options: PredictionOptions = PredictionOptions(top=1),  # noqa: B008 - frozen
    ):
        opened = Model.open(model, weights)
        self.preprocessing = opened.preprocessing
        self.classifier = Classifier(opened, options)

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Return the batch with the columns of the predictions. Raises ArgumentError if no column has images."""
        column = next((name for name in ("bytes", "image", "path") if name in batch), None)
        if column is None:
            raise ArgumentError(
                f"a batch must have one of the columns {', '.join(COLUMNS)}. Received: {', '.join(batch) or 'none'}"
            )
        values = batch[column]
        with ThreadPoolExecutor(reading_threads()) as pool:
            images = zip(map(str, range(len(values))), pool.map(self._read, values), strict=True)
            rows = list(self.classifier.predict(images))
        added: dict[str, Any] = {
            "answer": np.array([row.answer for row in rows], object),
            "probability": np.array([row.classes[0][1] if row.classes else np.nan for row in rows], np.float32),
            "error": np.array([row.error for row in rows], object),
        }
        if self.classifier.options.embeddings:
            channels = next((row.embedding for row in rows if row.embedding is not None), np.zeros(0, np.float32))
            missing = np.full_like(channels, np.nan)
            added["embedding"] = np.stack([missing if row.embedding is None else row.embedding for row in rows])
        return {**batch, **added}

    def _read(self, value: Any) -> np.ndarray | str:
        """Return uint8 (size, size, channels), or the reason why the image can't be read."""
        try:
            if isinstance(value, np.ndarray):
                return self.preprocessing.apply(value)
        except ArgumentError as error:
            return str(error)
        if isinstance(value, bytes):
            return or_reason(lambda: self.preprocessing.load(io.BytesIO(value)), "image")
        return or_reason(lambda: self.preprocessing.load(str(value)), str(value))
