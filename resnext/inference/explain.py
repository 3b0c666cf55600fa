"""Where a network looks: class activation maps in closed form (Zhou et al. 2016, https://arxiv.org/abs/1512.04150).

The head is linear and follows global average pooling, so a class's logit is the mean over the positions of
map[h, w] = sum over k of features[h, w, k] * kernel[k, class], plus the bias. For such networks Grad-CAM (Selvaraju et
al. 2017, https://arxiv.org/abs/1610.02391) is this map, without its negative part, divided by the number of positions.
"""

from __future__ import annotations

import csv
import logging
import re
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from resnext.data.archive_members import Member
from resnext.data.batches import reading_threads
from resnext.data.inputs import Input, Inputs, check_inputs, read_ahead
from resnext.ending import at_any_end
from resnext.engines.engine import Engine, Outputs
from resnext.errors import ArgumentError, MissingPackageError, did_you_mean, one_line, printable
from resnext.images.decode import read_image
from resnext.images.preprocessing import Preprocessing
from resnext.inference.answers import Answers
from resnext.inference.model import Model
from resnext.inference.predict import read_input
from resnext.inference.results import new_folder
from resnext.inference.rows import valid_text
from resnext.runs import plots

logger = logging.getLogger(__name__)

BATCH_SIZE = 8
SHEET = 24  # images on a contact sheet
SMALL = 320  # pixels of the longer side of a picture on a sheet
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
    follow_links: bool = False,
) -> Answers[Explanation]:
    """Compute the class activation map of each image, in order: one forward pass, no gradient.

    Args:
        model: as in `predict`.
        images: as in `predict`.
        weights: as in `predict`.
        class_name: class to explain; by default the predicted class of each image.
        follow_links: whether links may lead out of a folder of images.

    Returns:
        An iterator over the explanations, with the engine and the files that were left out.

    Raises:
        ArgumentError, RunError, WeightsError: before the first image.

    >>> next(explain("runs/signs", "hand.jpg")).map.shape  # doctest: +SKIP
    (2, 2)
    """
    arguments = [images] if isinstance(images, str | Path) else list(images)
    opened = Model.open(model, weights)
    chosen = None if class_name is None else class_index(opened, class_name)
    check_inputs(arguments)
    (engine,) = opened.engines(outputs=("logits", "maps"))
    inputs = Inputs(arguments, getattr(sys.stdin, "buffer", None), follow_links)
    return Answers(_explanations(opened, engine, inputs, chosen), opened.engine_name, inputs.left_out)


def class_index(model: Model, name: str) -> int:
    """Return the index of a class. Raises ArgumentError for another word."""
    if name not in model.classes:
        hint = did_you_mean(name, list(model.classes)) or f" The first classes are {', '.join(model.classes[:5])}."
        raise ArgumentError(f"{model.name} has no class {name!r}.{hint}")
    return model.classes.index(name)


def _explanations(model: Model, engine: Engine, inputs: Iterable[Input], chosen: int | None) -> Iterator[Explanation]:
    threads = reading_threads()
    images = iter(
        read_ahead(
            inputs, partial(read_input, partial(_seen, model.preprocessing)), threads, ahead=BATCH_SIZE + threads
        )
    )
    while part := list(islice(images, BATCH_SIZE)):
        seen = [each.pixels for _, each in part if not isinstance(each, str)]
        answers = _answers(engine.outputs(np.stack(seen)), chosen) if seen else iter(())
        for image, each in part:
            if isinstance(each, str):
                yield Explanation(image.name, error=each)
                continue
            label, share, activation = next(answers)
            yield Explanation(image.name, model.classes[label], share, activation, each.photo)


def _answers(outputs: Outputs, chosen: int | None) -> Iterator[tuple[int, float, np.ndarray]]:
    """Yield for each image the class that is explained, its probability and its activation map."""
    for number, probabilities in enumerate(outputs.probabilities()):
        label = int(probabilities.argmax()) if chosen is None else chosen
        yield label, float(probabilities[label]), outputs.activation_map(number, label)


class _Seen(NamedTuple):
    """An image as the network sees it, and as people do: both uint8 (height, width, 3)."""

    pixels: np.ndarray
    photo: np.ndarray


def _seen(preprocessing: Preprocessing, source: Path | Member) -> _Seen:
    small = Image.fromarray(read_image(source, at_least=LONGEST))
    small.thumbnail((LONGEST, LONGEST))
    return _Seen(preprocessing.load(source), np.asarray(small))


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
    folder = new_folder(folder)
    sheets = _Sheets(folder)
    with (folder / TABLE).open("w", encoding="utf-8", newline="") as file, at_any_end(file.flush):
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("image", "class", "probability", "picture", "error"))
        try:
            for number, each in enumerate(explanations, 1):
                path = None
                if each.map is not None and each.photo is not None:
                    path = folder / f"{number:05}-{_stem(each.image)}.png"
                    picture = overlay(each.photo, each.map, preprocessing)
                    Image.fromarray(picture).save(path)
                    if raw:
                        np.save(path.with_suffix(".npy"), each.map)
                    sheets.add(each, picture)
                name, share = valid_text(each.image), each.probability if path else ""
                table.writerow((name, each.name, share, path and path.name, each.error))
                yield each, path
        finally:
            sheets.draw()


class _Sheets:
    """Contact sheets of a folder; whatever goes wrong in drawing one costs nothing else."""

    def __init__(self, folder: Path):
        self.folder, self.number = folder, 0
        self.pictures: list[tuple[str, np.ndarray]] = []

    def add(self, explained: Explanation, picture: np.ndarray) -> None:
        small = Image.fromarray(picture)
        small.thumbnail((SMALL, SMALL))
        name = plots.shorten(printable(Path(explained.image).name), 20)
        said = f"{name}\n{plots.shorten(explained.name or '', 20)} ({100 * explained.probability:.0f} %)"
        self.pictures.append((said, np.asarray(small)))
        if len(self.pictures) == SHEET:
            self.draw()

    def draw(self) -> None:
        """Draw the pictures that are waiting."""
        pictures, self.pictures = self.pictures, []
        if not pictures:
            return
        self.number += 1
        path = self.folder / f"sheet-{self.number:03}.png"
        try:
            plots.draw_sheet(pictures, path)
        except MissingPackageError:
            raise
        except Exception as error:
            logger.warning(f"{path.name} can't be drawn: {one_line(error)}")


def _stem(name: str) -> str:
    """Return the name of a picture for an image: letters and digits of its own name."""
    return re.sub(r"[^\w-]+", "_", Path(name).stem)[:80] or "image"
