"""Where a network looks: class activation maps in closed form (Zhou et al. 2016, https://arxiv.org/abs/1512.04150).

The head is linear and follows global average pooling, so a class's logit is the mean over the positions of
map[h, w] = sum over k of features[h, w, k] * kernel[k, class], plus the bias. For such networks Grad-CAM (Selvaraju et
al. 2017, https://arxiv.org/abs/1610.02391) is this map, without its negative part, divided by the number of positions.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from resnext.data.inputs import Input, check_inputs, find_inputs, read_ahead
from resnext.errors import ArgumentError, ImageError, did_you_mean
from resnext.files import user_path, write_atomically
from resnext.images.decode import read_image
from resnext.images.preprocessing import Preprocessing
from resnext.inference.evaluate import log_softmax, outputs_of
from resnext.inference.model import Model
from resnext.inference.predict import reason_of
from resnext.inference.results import check_folder, csv_text
from resnext.runs import plots

BATCH_SIZE = 8
SHEET = 24  # images on a contact sheet
LONGEST = 1_024  # pixels of the longer side of a photo that is drawn
TABLE = "explanations.csv"


class Explanation(NamedTuple):
    """An image, the class that is explained, and its activation map; or why the image can't be read."""

    image: str
    name: str | None = None
    probability: float = 0.0
    map: np.ndarray | None = None  # float32 (height, width), in logits: its mean and the bias are the class's logit
    photo: np.ndarray | None = None  # uint8 (height, width, 3), upright, at most LONGEST pixels
    error: str | None = None


def explain(
    model: str | Path | Model,
    images: str | Path | Iterable[str | Path],
    *,
    weights: str | None = None,
    class_name: str | None = None,
    left_out: Counter[str] | None = None,
) -> Iterator[Explanation]:
    """Compute the class activation map of each image, in order: one forward pass, no gradient.

    Args:
        model: as in `predict`.
        images: as in `predict`.
        weights: as in `predict`.
        class_name: class to explain; by default the predicted class of each image.
        left_out: as in `predict`.

    Raises:
        ArgumentError, RunError, WeightsError: before the first image.

    >>> next(explain("runs/signs", "hand.jpg")).map.shape  # doctest: +SKIP
    (2, 2)
    """
    arguments = [images] if isinstance(images, str | Path) else list(images)
    opened = Model.open(model, weights)
    chosen = None if class_name is None else class_index(opened, class_name)
    check_inputs(arguments)
    inputs = find_inputs(arguments, Counter() if left_out is None else left_out)
    return _explanations(opened, inputs, chosen)


def class_index(model: Model, name: str) -> int:
    """Return the index of a class. Raises ArgumentError for another word."""
    if name not in model.classes:
        hint = did_you_mean(name, list(model.classes)) or f" The first classes are {', '.join(model.classes[:5])}."
        raise ArgumentError(f"{model.name} has no class {name!r}.{hint}")
    return model.classes.index(name)


def _explanations(model: Model, inputs: Iterable[Input], chosen: int | None) -> Iterator[Explanation]:
    (classifier,) = model.build(outputs=("logits", "map"))
    from resnext.model.classifier import head_weights

    kernel, _ = head_weights(classifier)
    read = _Reading(model.preprocessing)
    images = iter(read_ahead(inputs, read, threads=2, ahead=2 * BATCH_SIZE))
    while part := list(islice(images, BATCH_SIZE)):
        seen = [each.seen for _, each in part if each.seen is not None]
        logits, features = outputs_of(classifier, np.stack(seen)) if seen else ((), ())
        probabilities = np.exp(log_softmax(np.asarray(logits))) if seen else ()
        rows = zip(probabilities, features, strict=True)
        for image, each in part:
            if each.error is not None:
                yield Explanation(image.name, error=each.error)
                continue
            row, feature = next(rows)
            label = int(row.argmax()) if chosen is None else chosen
            activation = feature @ kernel[:, label]
            yield Explanation(image.name, model.classes[label], float(row[label]), activation, each.photo)


class _Seen(NamedTuple):
    """An image as the network sees it, and as people do; or why it can't be read."""

    seen: np.ndarray | None = None
    photo: np.ndarray | None = None
    error: str | None = None


class _Reading(NamedTuple):
    """Reads images for the network and for people."""

    preprocessing: Preprocessing

    def __call__(self, image: Input) -> _Seen:
        if image.source is None:
            return _Seen(error=image.error or "can't be read")
        try:
            photo = read_image(image.source, at_least=max(2 * self.preprocessing.resize, LONGEST))
        except ImageError as error:
            return _Seen(error=reason_of(error, str(image.source)))
        small = Image.fromarray(photo)
        small.thumbnail((LONGEST, LONGEST))
        return _Seen(self.preprocessing.load(image.source), np.asarray(small))


def overlay(photo: np.ndarray, activation: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """Lay the positive part of an activation map over a photo; what the network did not see is dimmed.

    Args:
        photo: uint8 (height, width, 3).
        activation: activation map, float32 (rows, columns).
        preprocessing: how the photo was prepared.

    Returns:
        uint8 (height, width, 3).
    """
    height, width, _ = photo.shape
    left, upper, right, lower = preprocessing.seen(width, height)
    positive = np.maximum(activation, 0) / max(float(activation.max()), 1e-9)
    heat = Image.fromarray(positive.astype(np.float32))
    # Positions of the photo in the map: what lies outside the box that the network saw becomes 0.
    rows, columns = activation.shape
    scale_x, scale_y = columns / (right - left), rows / (lower - upper)
    corners = (-left * scale_x, -upper * scale_y, (width - left) * scale_x, (height - upper) * scale_y)
    affine = (scale_x, 0, corners[0], 0, scale_y, corners[1])
    shown = np.asarray(heat.transform((width, height), Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR))
    y, x = np.mgrid[:height, :width] + 0.5
    inside = (x >= left) & (x <= right) & (y >= upper) & (y <= lower)
    shown = np.clip(shown, 0, 1)[..., None]
    mixed = photo * (1 - 0.65 * shown) + 0.65 * shown * plots.colours(shown[..., 0])
    return np.where(inside[..., None], mixed, 0.4 * photo).round().astype(np.uint8)


def write_explanations(
    folder: str | Path, explanations: Iterable[Explanation], preprocessing: Preprocessing, raw: bool = False
) -> Iterator[tuple[Explanation, Path | None]]:
    """Write a picture for each image, contact sheets and a table; yield each explanation with its picture.

    Args:
        folder: new or empty folder.
        explanations: what `explain` returned.
        preprocessing: the model's.
        raw: whether to write each map as .npy, too.

    Raises:
        ArgumentError: the folder has files already.
    """
    folder = user_path(folder)
    check_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[tuple[object, ...]] = []
    sheet: list[tuple[str, np.ndarray]] = []
    sheets = 0
    try:
        for number, each in enumerate(explanations, 1):
            path = None
            if each.map is not None and each.photo is not None:
                path = folder / f"{number:05}-{_stem(each.image)}.png"
                picture = overlay(each.photo, each.map, preprocessing)
                Image.fromarray(picture).save(path)
                if raw:
                    np.save(path.with_suffix(".npy"), each.map)
                sheet.append((f"{Path(each.image).name}\n{each.name} ({100 * each.probability:.0f} %)", picture))
            if len(sheet) == SHEET:
                sheets += 1
                plots.draw_sheet(sheet, folder / f"sheet-{sheets:03}.png")
                sheet = []
            rows.append((each.image, each.name, each.probability if path else "", path and path.name, each.error))
            yield each, path
    finally:
        if sheet:
            plots.draw_sheet(sheet, folder / f"sheet-{sheets + 1:03}.png")
        text = csv_text(("image", "class", "probability", "picture", "error"), rows)
        write_atomically(folder / TABLE, text.encode("utf-8", "surrogateescape"))


def _stem(name: str) -> str:
    """Return the name of a picture for an image: letters and digits of its own name."""
    return re.sub(r"[^\w-]+", "_", Path(name).stem)[:80] or "image"
