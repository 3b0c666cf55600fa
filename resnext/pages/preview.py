"""A sheet of training images, as a recipe augments them."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from resnext.data.batches import Sampler, mixed
from resnext.data.check import readers
from resnext.data.examples import Examples, median_side, sample_sizes
from resnext.data.holdout import Holdout
from resnext.data.memory import open_source
from resnext.errors import OutputError
from resnext.files import user_path, write_atomically
from resnext.images.bands import as_shown
from resnext.recipes.names import get_recipe, own_variant
from resnext.recipes.recipe import Recipe, evaluation_preprocessing, training_preprocessing
from resnext.variants.choose import choose_network
from resnext.variants.names import get_variant

IMAGES, COLUMNS = 6, 8  # rows, and columns after the first
GAP = 4  # pixels
LEAST = 64  # pixels: smaller images are enlarged by a whole number
CAPTIONS = ("as evaluated", "as training sees it")  # above the first column, and above the others


def preview(
    data: str | Path, out: str | Path, *, recipe: Recipe | str, seed: int = 0, follow_links: bool = False
) -> Path:
    """Draw a sheet of training images: each row shows one as it is evaluated, then as training sees it.

    Recipes that mix images mix those of a column.

    Args:
        data: folder, archive or built-in data set, as for `train`.
        out: image file to write; its suffix, .png or .jpg, determines the format.
        recipe: recipe, or its name, whose augmentations to show, at its size or, if it has none, at the one that
            `train` would choose.
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
    recipe = dataclasses.replace(recipe, image_size=recipe.image_size or _size_in_training(recipe, examples))
    sample = Sampler(recipe, training_preprocessing(recipe))
    trained = dataclasses.replace(recipe, test_size=None)
    columns = [np.stack([evaluation_preprocessing(trained).apply(image) for image in images])]
    for column in range(COLUMNS):
        rngs = [np.random.default_rng([seed, column, row]) for row in range(len(images))]
        samples = np.stack([sample(image, rng) for image, rng in zip(images, rngs, strict=True)])
        columns.append(mixed(recipe, samples, examples.targets(picked), rngs[0])[0])
    _save(columns, out)
    return out


def _size_in_training(recipe: Recipe, examples: Examples) -> int:
    """Return the side in pixels that `train` would choose for a recipe without one."""
    own = own_variant(recipe)
    chosen = get_variant(own) if own else choose_network(len(examples), median_side(sample_sizes(examples)))
    return chosen.image_size


def _save(columns: list[np.ndarray], out: Path) -> None:
    """Write columns of images, uint8 (rows, side, side, channels), below their captions, as one image file."""
    images = as_shown(np.stack(columns, axis=1))
    factor = -(-LEAST // images.shape[2])
    grid = images.repeat(factor, axis=2).repeat(factor, axis=3)
    grid = np.pad(grid, ((0, 0), (0, 0), (0, GAP), (0, GAP), (0, 0)), constant_values=255)
    rows, count, height, width, _ = grid.shape
    sheet = grid.transpose(0, 2, 1, 3, 4).reshape(rows * height, count * width, 3)[:-GAP, :-GAP]
    stream = io.BytesIO()
    _captioned(sheet, width).save(stream, format="PNG" if out.suffix.lower() == ".png" else "JPEG")
    write_atomically(out, stream.getvalue())


def _captioned(sheet: np.ndarray, width: int) -> Image.Image:
    """Return the sheet below a line that says what its columns, so many pixels wide, show."""
    size = width / 7  # of a letter: the first caption is as wide as its column
    top = round(1.6 * size)
    picture = Image.fromarray(np.pad(sheet, ((top, 0), (0, 0), (0, 0)), constant_values=255))
    for left, caption in zip((0, width), CAPTIONS, strict=True):
        at = (left, 0.3 * size)
        ImageDraw.Draw(picture).text(at, caption, fill="black", font=ImageFont.load_default(size))
    return picture
