"""The options of evaluate and predict; quick to import, because commands are parsed without the rest."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

from resnext.engines.engine import EngineName
from resnext.errors import ArgumentError
from resnext.images.preprocessing import MAX_SIDE, Preprocessing
from resnext.images.views import Views
from resnext.keywords import as_call

PredictionFormat = Literal["table", "json", "jsonl", "csv", "parquet"]


@dataclass(frozen=True)
class EvaluationOptions:
    """The options of an evaluation, among them changes to the model's own preprocessing.

    Args:
        size: side of the images in pixels, or several, whose logits are averaged; by default the model's own.
        crop: share of the shorter side that the crop keeps; by default the model's own.
        interpolation: "bilinear" or "bicubic"; by default the model's own.
        crops: 1, or 10 for centre, corners and their mirror images.
        flip: whether to average each image with its mirror image.
        only_data_classes: whether the network chooses among the classes of the data only, as in the "1K-way" columns
            of the paper's Table 6 for a network of 5,000 classes.
        engine: engine to use: "openvino", "onnxruntime" or "keras"; by default the fastest one installed, or Keras for
            fewer than 500 images. "openvino-bfloat16" is faster if the CPU computes in bfloat16, and less exact.
        batch_size: images in a batch.
        follow_links: read images through links that lead out of the folder of the data; also on if the run chose it.
        all: whether to evaluate all images of the data that the run was not trained on, in all its parts, and not only
            those that it held out.

    Raises:
        ArgumentError: a value that is not allowed.
    """

    size: tuple[int, ...] = ()
    crop: float | None = None
    interpolation: str | None = None
    crops: int = 1
    flip: bool = False
    only_data_classes: bool = False
    engine: EngineName | None = None
    batch_size: int = 64
    follow_links: bool = False
    all: bool = False

    def __repr__(self) -> str:
        return as_call(self)

    def __post_init__(self) -> None:
        sizes = (self.size,) if isinstance(self.size, int) else self.size
        if not isinstance(sizes, tuple | list) or not all(isinstance(side, int) for side in sizes):
            raise ArgumentError(f"`size` must be a number of pixels, or several. Received: {self.size!r}")
        object.__setattr__(self, "size", tuple(sizes))
        if self.batch_size < 1:
            raise ArgumentError(f"`batch_size` must be at least 1. Received: {self.batch_size}")

    def views(self, preprocessing: Preprocessing) -> list[Views]:
        """Return the views of each image, for each size."""
        sizes = self.size or (None,)
        each = [at_size(preprocessing, size, self.crop, self.interpolation) for size in sizes]
        return [Views(size, self.crops, self.flip) for size in each]


@dataclass(frozen=True)
class PredictionOptions:
    """How images are classified.

    Args:
        top: number of classes for each image.
        threshold: probability below which the answer is "unknown".
        calibrated: calibrate probabilities by the temperature stored with the run.
        embeddings: also return the pooled features of each image; Keras computes them.
        follow_links: read images through links that lead out of a folder.
        engine: engine to use: "openvino", "onnxruntime", "keras" or "openvino-bfloat16"; by default the fastest one
            installed, or Keras for fewer than 500 images.

    Raises:
        ArgumentError: a value that is not allowed.
    """

    top: int = 5
    threshold: float | None = None
    calibrated: bool = False
    embeddings: bool = False
    follow_links: bool = False
    engine: EngineName | None = None

    def __repr__(self) -> str:
        return as_call(self)

    def __post_init__(self) -> None:
        if self.top < 1:
            raise ArgumentError(f"`top` must be at least 1. Received: {self.top}")
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise ArgumentError(f"`threshold` must be above 0 and at most 1. Received: {self.threshold}")


def at_size(
    preprocessing: Preprocessing, size: int | None, crop: float | None, interpolation: str | None
) -> Preprocessing:
    """Return a preprocessing with another size, share of the shorter side that the crop keeps, or interpolation.

    Raises:
        ArgumentError: a value that is not allowed.

    >>> at_size(Preprocessing(224, 256), 320, 1.0, None).resize
    320
    """
    if crop is not None and not 0 < crop <= 1:
        raise ArgumentError(f"`crop` must be above 0 and at most 1. Received: {crop}")
    share = preprocessing.size / preprocessing.resize if crop is None else crop
    side = preprocessing.size if size is None else size
    if not 1 <= round(side / share) <= MAX_SIDE or side < 1:
        raise ArgumentError(
            f"`size` must be at least 1, and size / crop at most {MAX_SIDE:,}. Received: size={side}, crop={share:g}"
        )
    resize = preprocessing.resize if (size, crop) == (None, None) else round(side / share)
    return dataclasses.replace(
        preprocessing,
        size=side,
        resize=resize,
        interpolation=preprocessing.interpolation if interpolation is None else interpolation,
    )
