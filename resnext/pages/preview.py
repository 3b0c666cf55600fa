"""A sheet of training images, as a recipe augments them."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import numpy as np
from PIL import Image

from resnext.data.batches import Sampler, mixed
from resnext.data.check import readers
from resnext.data.holdout import Holdout
from resnext.data.memory import open_source
from resnext.errors import OutputError
from resnext.files import user_path, write_atomically
from resnext.images.bands import as_shown
from resnext.recipes.names import get_recipe
from resnext.recipes.recipe import Recipe, evaluation_preprocessing, training_preprocessing

IMAGES, COLUMNS = 6, 8  # rows, and columns after the first
GAP = 4  # pixels
LARGEST = 224  # largest side in pixels if the recipe has none


def preview(
    data: str | Path, out: str | Path, *, recipe: Recipe | str, seed: int = 0, follow_links: bool = False
) -> Path:
    """Draw a sheet of training images: each row shows one as it is evaluated, then as training sees it.

    Recipes that mix images mix those of a column.

    Args:
        data: folder, archive or built-in data set, as for `train`.
        out: image file to write; its suffix, .png or .jpg, determines the format.
        recipe: recipe, or its name, whose augmentations to show, at its size or, if it has none, that of the images up
            to 224 pixels.
        seed: seed of the augmentation.
        follow_links: as for `train`.

    Returns:
        The path of the image file.

    Raises:
        ArgumentError: `out` can't be written.
        DataError: the data can't be used.
        ImageError: an image can't be read.

    >>> preview("digits", "sheet.png", recipe=get_recipe("photos"))  # doctest: +SKIP
    """
    out = user_path(out)
    if out.suffix.lower() not in (".png", ".jpg") or not out.parent.is_dir():
        raise OutputError(f"{out}: can't be written; pass a .png or .jpg file in a folder that exists")
    examples = open_source(data, follow_links).splits(Holdout(seed)).train
    picked = np.linspace(0, len(examples) - 1, min(IMAGES, len(examples))).round().astype(int)
    images = [examples.images[index] for index in picked]
    recipe = get_recipe(recipe) if isinstance(recipe, str) else recipe
    _, read = readers(recipe.channels)
    images = [image if isinstance(image, np.ndarray) else read(image) for image in images]
    recipe = dataclasses.replace(recipe, image_size=recipe.image_size or min(LARGEST, *images[0].shape[:2]))
    sample = Sampler(recipe, training_preprocessing(recipe))
    trained = dataclasses.replace(recipe, test_size=None)
    columns = [np.stack([evaluation_preprocessing(trained).apply(image) for image in images])]
    for column in range(COLUMNS):
        rngs = [np.random.default_rng([seed, column, row]) for row in range(len(images))]
        samples = np.stack([sample(image, rng) for image, rng in zip(images, rngs, strict=True)])
        columns.append(mixed(recipe, samples, examples.targets(picked), rngs[0])[0])
    _save(columns, out)
    return out


def _save(columns: list[np.ndarray], out: Path) -> None:
    """Write columns of images, uint8 (rows, side, side, channels), as one image file."""
    grid = np.pad(
        as_shown(np.stack(columns, axis=1)), ((0, 0), (0, 0), (0, GAP), (0, GAP), (0, 0)), constant_values=255
    )
    rows, count, height, width, _ = grid.shape
    sheet = grid.transpose(0, 2, 1, 3, 4).reshape(rows * height, count * width, 3)
    stream = io.BytesIO()
    Image.fromarray(sheet[:-GAP, :-GAP]).save(stream, format="PNG" if out.suffix.lower() == ".png" else "JPEG")
    write_atomically(out, stream.getvalue())
