"""What can be chosen where a trained network is used; quick to import, so that commands are parsed without the rest."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

from resnext.engines.engine import EngineName
from resnext.errors import ArgumentError
from resnext.images.preprocessing import MAX_SIDE, Preprocessing
from resnext.images.views import Views

Format = Literal["table", "jsonl", "csv", "parquet"]  # of predictions


@dataclass(frozen=True)
class EvaluationOptions:
    """How images are seen in an evaluation, where that is not the model's own preprocessing.

    Args:
        size: sides of the images in pixels; of several sizes the logits are averaged. By default the model's own.
        crop: share of the shorter side that the crop keeps; by default the model's own.
        interpolation: "bilinear" or "bicubic"; by default the model's own.
        crops: 1, or 10 for centre, corners and their mirror images.
        flip: whether to average each image with its mirror image.
        only_data_classes: whether the network chooses among the classes of the data only, as in the "1K-way" columns
            of the paper's Table 6 for a network of 5,000 classes.
        engine: what computes the network: "openvino", "onnxruntime" or "keras"; by default the fastest that is
            installed, or Keras for fewer than 500 images. "openvino-bfloat16" is faster where the CPU computes in
            bfloat16, and less exact.

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

    def views(self, preprocessing: Preprocessing) -> list[Views]:
        """Return the views of each image, for each size."""
        if not isinstance(self.size, tuple):
            raise ArgumentError(f"`size` must be a tuple of sizes, such as (320,). Received: {self.size!r}")
        sizes = self.size or (None,)
        each = [at_size(preprocessing, size, self.crop, self.interpolation) for size in sizes]
        return [Views(size, self.crops, self.flip) for size in each]


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
