"""Explanations as files: a picture for each image, contact sheets, and a table."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from resnext.ending import at_any_end
from resnext.errors import MissingPackageError, one_line, printable
from resnext.images.preprocessing import Preprocessing
from resnext.inference.csv_cells import CsvTable
from resnext.inference.evaluation_files import new_folder
from resnext.inference.explain import Explanation
from resnext.inference.prediction_files import valid_text
from resnext.pages import plots
from resnext.pages.fonts import drawable

logger = logging.getLogger(__name__)

SHEET = 24  # images on a contact sheet
SMALL = 320  # pixels of the longer side of a picture on a sheet
TABLE = "explanations.csv"


def overlay(photo: np.ndarray, activation: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """Overlay a photo with the positive part of an activation map; the part that the network did not see is dimmed.

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
    # Positions of the photo in the map: everything outside the box that the network saw becomes 0.
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
        explanations: result of `explain`.
        preprocessing: the model's.
        raw: whether to also write each map as .npy.

    Raises:
        ArgumentError: the folder has files already.
    """
    folder = new_folder(folder)
    sheets = _Sheets(folder)
    with (folder / TABLE).open("w", encoding="utf-8", newline="") as file, at_any_end(file.flush):
        table = CsvTable(file, ("image", "class", "probability", "picture", "error"))
        try:
            for number, each in enumerate(explanations, 1):
                path = None
                if each.map is not None and each.photo is not None:
                    path = folder / f"{number:05}-{_stem(each.image)}.png"
                    picture = overlay(each.photo, each.map, preprocessing)
                    Image.fromarray(picture).save(path)
                    if raw:
                        np.save(path.with_suffix(".npy"), each.map)
                    sheets.add(number, each, picture)
                name, share = valid_text(each.image), each.probability if path else ""
                table.write((name, each.name, share, path and path.name, each.error))
                yield each, path
        finally:
            sheets.draw()


class _Sheets:
    """Contact sheets of a folder; a failure in drawing one affects nothing else."""

    def __init__(self, folder: Path):
        self.folder, self.number = folder, 0
        self.pictures: list[tuple[str, np.ndarray]] = []

    def add(self, number: int, explained: Explanation, picture: np.ndarray) -> None:
        small = Image.fromarray(picture)
        small.thumbnail((SMALL, SMALL))
        name, answer = (drawable(printable(text)) for text in (Path(explained.image).name, explained.name or ""))
        title = f"{number}. {name}\n{answer}\n{100 * explained.probability:.0f} %"
        self.pictures.append((title, np.asarray(small)))
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
    """Return the name of an image's picture: the letters and digits of the image's own name."""
    return re.sub(r"[^\w-]+", "_", Path(name).stem)[:80] or "image"
