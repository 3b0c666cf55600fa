"""Small photos of many kinds, and the data sets that they make."""

from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from resnext.data.holdout import Holdout
from resnext.data.source import open_data

COLOURS = {"red": (200, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 200)}


def write_photos(folder: Path, classes: dict[str, tuple[int, int, int]], images: int, size: int = 24) -> Path:
    """A folder for each class with noisy images of its colour: easy to learn in a few steps."""
    rng = np.random.default_rng(images % 12)  # so that a small part beside a large one has other images
    for name, colour in classes.items():
        (folder / name).mkdir(parents=True)
        for i in range(images):
            pixels = np.clip(rng.normal(colour, 40, (size, size, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i:03}.png")
    return folder


def load_splits(data, seed=0):
    return open_data(data).splits(Holdout(seed))


def load_examples(data, classes):
    return open_data(data).examples(classes)


def load_held_out(data, held_out, classes):
    return open_data(data).held_out(held_out, classes)


def make(root, *paths):
    """Tiny images at the given paths below `root`, of equal pixels and different bytes."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(root / path, format="PNG", pnginfo=named(path))
    return root


def names(examples, root):
    return [str(path.relative_to(root)) for path in examples.images]


def photo(size=(40, 30), seed=0) -> Image.Image:
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return Image.fromarray(small).resize(size)


def picture(path: Path, value: int = 0) -> None:
    """An image of one colour, whose bytes (of a PNG) differ from those of equal images at other paths."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (12, 12), (value % 256, 90, 200)).save(path, pnginfo=named(f"{path.parent.name}/{path.name}"))


def named(name: str) -> PngInfo:
    """A text in a PNG, so that its bytes are not those of another."""
    info = PngInfo()
    info.add_text("name", ascii(name))
    return info


def flat(folder: Path, count: int = 12) -> Path:
    """Images in no class folders."""
    for i in range(count):
        picture(folder / f"{i:02}.png", 20 * i)
    return folder
