"""From labelled images to batches: threads read, augment and stack them ahead of the step."""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, islice, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from resnext.data.examples import Examples
from resnext.errors import ImageError, printable
from resnext.images.colours import color_jitter, lighting
from resnext.images.crops import flip, pad_and_crop, random_resized_box, random_sized_box
from resnext.images.decode import read_crop
from resnext.images.erasing import random_erase
from resnext.images.mixing import cutmix, mixup
from resnext.images.policies import rand_augment, trivial_augment
from resnext.images.preprocessing import Preprocessing
from resnext.recipes.recipe import Recipe

if TYPE_CHECKING:
    import grain


Augmentation = Callable[[np.ndarray, np.random.Generator], np.ndarray]
MIXING = {"mixup": mixup, "cutmix": cutmix}
BOXES = {"sized": random_sized_box, "resized": random_resized_box}
COUNTS_FROM = (
    0.2  # share from which on a mixed-in class counts whole in the binary loss: timm's --bce-target-thresh 0.2
)


def steps_per_epoch(examples: Examples, recipe: Recipe) -> int:
    """Batches in one epoch of `training_batches`.

    >>> examples = Examples(np.zeros((50, 8, 8, 3), np.uint8), np.zeros(50, np.int32), ("a", "b"))
    >>> steps_per_epoch(examples, Recipe("r", epochs=1, batch_size=16, learning_rate=0.1))
    3
    """
    return len(examples) // images_per_step(examples, recipe) * recipe.accumulate


def images_per_step(examples: Examples, recipe: Recipe) -> int:
    """The recipe's batch size, or, where there are fewer, all the examples: in equal parts, if it accumulates them."""
    return min(recipe.batch_size, len(examples) // recipe.accumulate * recipe.accumulate)


def training_batches(
    examples: Examples,
    recipe: Recipe,
    preprocessing: Preprocessing,
    seed: int,
    workers: int | None = None,
    start: int = 0,
    share: tuple[int, int] = (0, 1),
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches without end: images uint8 (batch, size, size, 3) and targets float32 (batch, classes).

    A row of the targets is 1 at the image's class, and otherwise as the recipe mixes and smooths it. What an
    accumulating recipe computes at once comes as one batch.

    Batch i is a function of `seed` and i alone, whatever the workers do. Every epoch is a new permutation; what doesn't
    fill a batch is left out.

    Args:
        examples: at least `recipe.accumulate` of them.
        recipe: its augmentations, and how many images are in a step.
        preprocessing: size, interpolation and colours of what comes out.
        seed: from 0 to 2**32 - 1.
        workers: threads that make batches ahead; 0 makes each when it is asked for, None one for each core.
        start: the number of the first batch, counted from 0.
        share: which part of every batch, of how many: (1, 4) makes the second quarter of its rows, and no others. Of a
            batch in more than one part the images must be a multiple of twice the parts.

    Raises:
        ImageError: at the batch with an image that can't be read.
    """
    batches = iter(_batches(examples, recipe, preprocessing, seed, workers, share))
    batches.set_state({"next_index": start // recipe.accumulate})
    parts = chain.from_iterable(
        zip(np.split(images, recipe.accumulate), np.split(targets, recipe.accumulate), strict=True)
        for images, targets in batches
    )
    yield from islice(parts, start % recipe.accumulate, None)


def images_of_batch(examples: Examples, recipe: Recipe, seed: int, number: int) -> list[str]:
    """The names of the images in a batch of `training_batches`; of an array's images the indices."""
    size, per_epoch = images_per_step(examples, recipe), len(examples) // images_per_step(examples, recipe)
    epoch, batch = divmod(number // recipe.accumulate, per_epoch)
    rows = _rows(size, recipe.accumulate, (0, 1)).reshape(recipe.accumulate, -1)[number % recipe.accumulate]
    order = _order(examples, recipe, seed)
    indices = [order[epoch * len(examples) + batch * size + int(row)] for row in rows]
    return [printable(name_of_image(examples, index)) for index in indices]


def name_of_image(examples: Examples, index: int) -> str:
    """Its path, or its index in an array."""
    image = examples.images[index]
    return f"image {index}" if isinstance(image, np.ndarray) else str(image)


def _batches(
    examples, recipe, preprocessing, seed, workers, share=(0, 1)
) -> grain.IterDataset[tuple[np.ndarray, np.ndarray]]:
    """Those of `training_batches`, not split. An iterator goes on at step i after `set_state({"next_index": i})`."""
    size = images_per_step(examples, recipe)
    make = partial(_batch, examples, recipe, sampler(recipe, preprocessing), _rows(size, recipe.accumulate, share))
    # Repeated before batching, the last batch of an epoch would be filled from the next one.
    batches = _order(examples, recipe, seed).batch(size, drop_remainder=True).random_map(make).repeat()
    return batches.to_iter_dataset(_read_ahead(workers))


def _batch(examples, recipe, sample, rows, indices: np.ndarray, rng: np.random.Generator):
    """Those rows of a batch whose images have these indices. Every image has a generator of its own."""
    seeds, sorted_rows = rng.integers(2**63, size=len(indices)), np.sort(rows)
    images = [sample(examples.images[indices[row]], np.random.default_rng(seeds[row])) for row in sorted_rows]
    batch = np.stack(images), examples.labels[indices[sorted_rows]]
    images, targets = mixed(recipe, len(examples.classes), batch, rng)
    places = np.searchsorted(sorted_rows, rows)
    return images[places], targets[places]


def _rows(size: int, accumulate: int, share: tuple[int, int]) -> np.ndarray:
    """Which rows of a batch are a process's, in order: an equal part of what is computed at once.

    First and last are neighbours, and so on inwards: mixing pairs a batch with its reverse, and both are in one part.
    """
    number, of = share
    inwards = np.stack([np.arange(size), size - 1 - np.arange(size)], axis=1).ravel()[:size]
    parts = inwards.reshape(accumulate, of, -1)
    return parts[:, number].ravel()


def _order(examples: Examples, recipe: Recipe, seed: int) -> grain.MapDataset[int]:
    """Indices of the images, one epoch after the other."""
    return _repeated(_grain().MapDataset.range(len(examples)).seed(seed).shuffle(), recipe.repeats)


def sampler(recipe: Recipe, preprocessing: Preprocessing) -> Callable[[Any, np.random.Generator], np.ndarray]:
    """A function from an image of `Examples` and a generator to what the network is trained on.

    Returns:
        function(image, rng) -> uint8 (size, size, 3); rng is lent for the call.
    """
    read, changes = _reader(recipe, preprocessing), augmentations(recipe, preprocessing)

    def sample(image, rng: np.random.Generator) -> np.ndarray:
        pixels = read(image, rng)
        for change in changes:
            pixels = change(pixels, rng)
        return pixels

    return sample


def _reader(recipe: Recipe, preprocessing: Preprocessing) -> Callable[[Any, np.random.Generator], np.ndarray]:
    if recipe.crop == "centre":
        return lambda image, rng: _read(image, preprocessing)
    choose_box = BOXES[recipe.crop]

    def read(image, rng: np.random.Generator) -> np.ndarray:
        def box(width: int, height: int) -> tuple[int, int, int, int]:
            return choose_box(width, height, recipe.crop_area, rng)

        return read_crop(image, box, preprocessing.size, preprocessing.interpolation)

    return read


# Fields of a recipe that change one image, in the order in which they do.
AUGMENTATIONS = ("flip", "pad", "color_jitter", "lighting", "rand_augment", "trivial_augment", "erasing")


def augmentations(recipe: Recipe, preprocessing: Preprocessing) -> list[Augmentation]:
    """The recipe's changes to one image, in order, each uint8 (size, size, 3) -> the same."""
    red, green, blue = (round(255 * mean) for mean in preprocessing.mean)
    fill, pad = (red, green, blue), round(recipe.pad * preprocessing.size)
    changes: dict[str, Augmentation] = {
        "flip": flip,
        "pad": lambda image, rng: pad_and_crop(image, pad, fill, rng),
        "color_jitter": lambda image, rng: color_jitter(image, recipe.color_jitter, rng),
        "lighting": lambda image, rng: lighting(image, recipe.lighting, rng),
        "rand_augment": lambda image, rng: rand_augment(image, recipe.rand_augment, fill, rng),
        "trivial_augment": lambda image, rng: trivial_augment(image, (0, 0, 0), rng),
        "erasing": lambda image, rng: random_erase(image, recipe.erasing, fill, rng),
    }
    return [changes[name] for name in AUGMENTATIONS if getattr(recipe, name)]


def mixed(recipe: Recipe, classes: int, batch, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A batch with the recipe's mixing, and its labels as targets float32 (batch, classes)."""
    images, labels = batch
    targets = (labels[:, None] == np.arange(classes)).astype(np.float32)
    wanted = [name for name in MIXING if getattr(recipe, name)]
    if wanted:
        name = wanted[rng.integers(len(wanted))]
        images, targets = MIXING[name](images, targets, getattr(recipe, name), rng)
    if recipe.loss == "binary":
        targets = (targets > COUNTS_FROM).astype(np.float32)
    if recipe.label_smoothing:
        targets = targets * (1 - recipe.label_smoothing) + recipe.label_smoothing / classes
    return images, targets.astype(np.float32, copy=False)


def _repeated(order: grain.MapDataset[int], times: int) -> grain.MapDataset[int]:
    """As long as `order`, with each of its first elements so many times in a row: repeated augmentation."""
    if times == 1:
        return order

    class Repeated(_grain().MapDataset):
        def __len__(self):
            return len(self._parent)

        def __getitem__(self, index):
            if isinstance(index, slice):
                return self.slice(index)
            epoch, i = divmod(index, len(self))
            return self._parent[epoch * len(self) + i // times]

    return Repeated(order)


def evaluation_batches(
    examples: Examples,
    preprocessing: Preprocessing,
    batch_size: int,
    multiple: int = 1,
    share: tuple[int, int] = (0, 1),
) -> Iterable[tuple[np.ndarray, int]]:
    """All images once, in order: uint8 (batch, size, size, 3), and how many of them count.

    The last batch is filled up with copies of its last image, so that no backend compiles a second shape.

    Args:
        batch_size: images at once; fewer where there are fewer.
        multiple: the batch is made a multiple of it.
        share: which part of the rows of every batch to make, of how many.

    Raises:
        ImageError: from the iterator, at the batch with an image that can't be read.
    """
    count = len(examples)
    batch = -(-min(batch_size, count) // multiple) * multiple
    rows = range(batch)[share[0] * batch // share[1] : (share[0] + 1) * batch // share[1]]

    def make(number: int) -> tuple[np.ndarray, int]:
        first, last = number * batch, min((number + 1) * batch, count) - 1
        images = {i: read_image_of(examples, preprocessing, i) for i in {min(first + row, last) for row in rows}}
        return np.stack([images[min(first + row, last)] for row in rows]), last + 1 - first

    return _grain().MapDataset.range(-(-count // batch)).map(make).to_iter_dataset(_read_ahead())


def prediction_batches(
    paths: Sequence[Path], preprocessing: Preprocessing, batch_size: int
) -> Iterable[tuple[np.ndarray, int, ImageError | None]]:
    """As `evaluation_batches`, of files; a third value says why the image after those that count can't be read.

    Nothing is raised: what comes before a damaged image is still predicted.
    """

    def read(index: int) -> np.ndarray | ImageError:
        try:
            return preprocessing.load(paths[index])
        except ImageError as error:
            return error

    def until_error(images: Sequence[np.ndarray | ImageError]) -> tuple[np.ndarray, int, ImageError | None]:
        error = next((image for image in images if isinstance(image, ImageError)), None)
        readable = [*takewhile(lambda image: image is not error, images)]
        nothing = np.zeros((preprocessing.size, preprocessing.size, 3), np.uint8)
        return _filled(readable or [nothing], batch_size), len(readable), error

    images = _grain().MapDataset.range(len(paths)).map(read)
    return images.batch(batch_size, batch_fn=until_error).to_iter_dataset(_read_ahead())


def _filled(images: Sequence[Any], batch_size: int) -> np.ndarray:
    return np.stack([*images, *[images[-1]] * (batch_size - len(images))])


def read_image_of(examples: Examples, preprocessing: Preprocessing, index: int) -> np.ndarray:
    """An example's image as it is judged, uint8 (size, size, 3)."""
    return _read(examples.images[index], preprocessing)


def _read(image, preprocessing: Preprocessing) -> np.ndarray:
    return preprocessing.apply(image) if isinstance(image, np.ndarray) else preprocessing.load(image)


def reading_threads() -> int:
    """How many threads make batches."""
    return min(16, os.cpu_count() or 1)


def _read_ahead(workers: int | None = None) -> grain.ReadOptions:
    # A thread makes a whole batch. Pillow lets go of the interpreter lock while it decodes and resizes, so a
    # thread per core helps. 16 of them hold 0.7 GB at 256 x 224 x 224.
    threads = reading_threads() if workers is None else workers
    return _grain().ReadOptions(num_threads=threads, prefetch_buffer_size=threads + 2 if threads else 0)


def _grain():
    """grain, without its warning that JAX's profiler is missing."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        return importlib.import_module("grain")
    finally:
        logger.setLevel(level)
