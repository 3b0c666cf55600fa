"""Batches of labelled images, which threads read, augment and stack ahead of the training step."""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING

import numpy as np

from resnext.data.balance import BalancedOrder, image_weights
from resnext.data.examples import Examples
from resnext.data.image_hashes import ImageHashes
from resnext.data.pixels import are_files
from resnext.errors import printable
from resnext.images.blurring import random_blur
from resnext.images.colours import color_jitter, lighting, random_greyscale, shift_hue
from resnext.images.crops import flip, pad_and_crop, random_resized_box, random_sized_box, rotate, vertical_flip
from resnext.images.erasing import random_erase
from resnext.images.mixing import cutmix, mixup
from resnext.images.policies import rand_augment, trivial_augment
from resnext.images.preprocessing import Preprocessing
from resnext.images.views import Views
from resnext.metrics.labels import HALF
from resnext.recipes.complete import CompleteRecipe
from resnext.recipes.recipe import Recipe

if TYPE_CHECKING:
    import grain


Augmentation = Callable[[np.ndarray, np.random.Generator], np.ndarray]
MIXING = {"mixup": mixup, "cutmix": cutmix}
BOXES = {"sized": random_sized_box, "resized": random_resized_box}
# More wait for the interpreter's lock: on 16 cores, 8 read photos at 1,425 images/s, and 16 at 1,086 (performance.md).
MAX_THREADS = 8
# In the binary loss, a class of a mixed image counts fully if its share is above this (timm's --bce-target-thresh 0.2).
COUNTS_FROM = 0.2


def steps_per_epoch(examples: Examples, recipe: CompleteRecipe) -> int:
    """Return the number of batches in one epoch of `training_batches`.

    >>> from resnext.recipes.complete import complete
    >>> examples = Examples(np.zeros((50, 8, 8, 3), np.uint8), np.zeros(50, np.int32), ("a", "b"))
    >>> recipe = complete(Recipe("r", batch_size=16), images=50, evaluated=10, image_size=8)
    >>> steps_per_epoch(examples, recipe)
    3
    """
    return len(examples) // images_per_step(examples, recipe) * recipe.accumulate


def images_per_step(examples: Examples, recipe: CompleteRecipe) -> int:
    """Return the number of images in a step: the recipe's batch size, or all examples if there are fewer.

    If the recipe accumulates, this is a multiple of `recipe.accumulate`.
    """
    return min(recipe.batch_size, len(examples) // recipe.accumulate * recipe.accumulate)


def training_batches(
    examples: Examples,
    recipe: CompleteRecipe,
    preprocessing: Preprocessing,
    seed: int,
    workers: int | None = None,
    start: int = 0,
    share: tuple[int, int] = (0, 1),
    hashes: ImageHashes | None = None,
) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield batches endlessly: images uint8 (batch, size, size, 3) and targets float32 (batch, classes).

    A row of the targets is 1 at the classes of the image and 0 elsewhere, unless these are shares, or the recipe mixes
    or smooths the targets. If the recipe weighs the classes, or the data the images, weights of the images, float32
    (batch,), come third. If the recipe accumulates, each part that is computed at once is one batch.

    Batch i depends only on `seed` and i, whatever the workers do. Every epoch is a new permutation, or a new draw of
    balanced classes; images that do not fill a batch are left out.

    Args:
        examples: labelled images, at least `recipe.accumulate`.
        recipe: recipe that defines the augmentations and the number of images in a step.
        preprocessing: size, interpolation and colours of the resulting images.
        seed: seed of order and augmentation, from 0 to 2**32 - 1.
        workers: threads that make batches ahead; 0: make each batch on request; None: one thread per core,
            at most 8.
        start: number of the first batch, counted from 0.
        share: index of the part of every batch to make, and the number of parts: (1, 4) makes only the second quarter
            of the rows. With more than one part, the images of a batch must be a multiple of twice the parts.
        hashes: receives the hash of each image when it is first read.

    Raises:
        ImageError: an image can't be read, or is not the one that `hashes` knows; raised at its batch.
    """
    batches = iter(_batches(examples, recipe, preprocessing, seed, workers, share, hashes))
    batches.set_state({"next_index": start // recipe.accumulate})
    parts = chain.from_iterable(
        zip(*(np.split(array, recipe.accumulate) for array in batch), strict=True) for batch in batches
    )
    yield from islice(parts, start % recipe.accumulate, None)


def images_of_batch(examples: Examples, recipe: CompleteRecipe, seed: int, number: int) -> list[str]:
    """Return the names of the images in a batch of `training_batches`; images of an array are named by index."""
    size, per_epoch = images_per_step(examples, recipe), len(examples) // images_per_step(examples, recipe)
    epoch, batch = divmod(number // recipe.accumulate, per_epoch)
    rows = _rows(size, recipe.accumulate, (0, 1)).reshape(recipe.accumulate, -1)[number % recipe.accumulate]
    order = _order(examples, recipe, seed)
    indices = [order[epoch * len(examples) + batch * size + int(row)] for row in rows]
    return [printable(name_of_image(examples, index)) for index in indices]


def name_of_image(examples: Examples, index: int) -> str:
    """Return the path of an image, or its index if the images are no files."""
    return str(examples.images[index]) if are_files(examples.images) else f"image {index}"


def _batches(
    examples, recipe, preprocessing, seed, workers, share=(0, 1), hashes=None
) -> grain.IterDataset[tuple[np.ndarray, np.ndarray]]:
    """Return the batches of `training_batches` before they are split into accumulated parts.

    An iterator resumes at step i after `set_state({"next_index": i})`.
    """
    size = images_per_step(examples, recipe)
    sample, rows = Sampler(recipe, preprocessing), _rows(size, recipe.accumulate, share)
    source = hashes.source if hashes else examples.images.__getitem__
    weights = image_weights(examples, recipe.class_weights)
    make = partial(_batch, examples, recipe, sample, rows, source, weights)
    # If the order were repeated before batching, the last batch of an epoch would be filled from the next epoch.
    batches = _order(examples, recipe, seed).batch(size, drop_remainder=True).random_map(make).repeat()
    return batches.to_iter_dataset(_read_ahead(workers))


def _batch(examples, recipe, sample, rows, source, weights, indices: np.ndarray, rng: np.random.Generator):
    """Return the selected rows of the batch whose images have these indices. Every image has its own generator."""
    seeds, sorted_rows = rng.integers(2**63, size=len(indices)), np.sort(rows)
    images = [sample(source(indices[row]), np.random.default_rng(seeds[row])) for row in sorted_rows]
    chosen, places, classes = indices[sorted_rows], np.searchsorted(sorted_rows, rows), len(examples.classes)
    shares = examples.targets(chosen)
    values = shares if weights is None else np.column_stack([shares, weights[chosen]])
    images, values = mixed(recipe, np.stack(images), values, rng)
    arrays = images, as_targets(recipe, values[:, :classes], examples), *values[:, classes:].T
    return tuple(array[places] for array in arrays)


def _rows(size: int, accumulate: int, share: tuple[int, int]) -> np.ndarray:
    """Return the rows of a batch that belong to a process, in order: an equal part of the images computed at once.

    The first and last rows are neighbours, and so on inwards: mixing pairs a batch with its reverse, so both images of
    a pair must be in the same part.
    """
    number, of = share
    inwards = np.stack([np.arange(size), size - 1 - np.arange(size)], axis=1).ravel()[:size]
    parts = inwards.reshape(accumulate, of, -1)
    return parts[:, number].ravel()


def _order(examples: Examples, recipe: Recipe, seed: int) -> grain.MapDataset[int]:
    """Return the indices of the images, one epoch after another."""
    if recipe.sampling == "balanced":
        return _balanced(_grain().MapDataset.range(len(examples)).seed(seed), BalancedOrder(examples.labels, seed))
    return _repeated(_grain().MapDataset.range(len(examples)).seed(seed).shuffle(), recipe.repeats)


class Sampler:
    """Turns an image of `Examples` into the image that the network is trained on: cropped, and augmented.

    Args:
        recipe: recipe that defines crop and augmentations.
        preprocessing: size, interpolation and colours of the resulting images.
    """

    def __init__(self, recipe: Recipe, preprocessing: Preprocessing):
        self.recipe, self.preprocessing = recipe, preprocessing
        self.augmentations = augmentations(recipe, preprocessing)

    def __call__(self, image, rng: np.random.Generator) -> np.ndarray:
        """Return the image, uint8 (size, size, 3); `rng` is used only during the call."""
        pixels = self._cropped(image, rng)
        for augmentation in self.augmentations:
            pixels = augmentation(pixels, rng)
        return pixels

    def _cropped(self, image, rng: np.random.Generator) -> np.ndarray:
        if self.recipe.crop == "centre":
            return prepared(image, self.preprocessing)
        box = BOXES[self.recipe.crop]
        area = self.recipe.crop_area
        return self.preprocessing.load_crop(image, lambda width, height: box(width, height, area, rng))


# The fields of a recipe that change single images, in the order in which they are applied.
AUGMENTATIONS = (
    "flip", "vertical_flip", "rotate", "pad", "color_jitter", "hue", "lighting", "greyscale", "blur", "rand_augment",
    "trivial_augment", "erasing",
)  # fmt: skip


def augmentations(recipe: Recipe, preprocessing: Preprocessing) -> list[Augmentation]:
    """Return the recipe's changes to single images, in order; each maps uint8 (size, size, 3) to the same shape."""
    fill, pad = preprocessing.fill, round(recipe.pad * preprocessing.size)
    changes: dict[str, Augmentation] = {
        "flip": flip,
        "vertical_flip": vertical_flip,
        "rotate": lambda image, rng: rotate(image, recipe.rotate, fill, rng),
        "pad": lambda image, rng: pad_and_crop(image, pad, fill, rng),
        "color_jitter": lambda image, rng: color_jitter(image, recipe.color_jitter, rng),
        "hue": lambda image, rng: shift_hue(image, recipe.hue, rng),
        "lighting": lambda image, rng: lighting(image, recipe.lighting, rng),
        "greyscale": lambda image, rng: random_greyscale(image, recipe.greyscale, rng),
        "blur": lambda image, rng: random_blur(image, recipe.blur, rng),
        "rand_augment": lambda image, rng: rand_augment(image, recipe.rand_augment, fill, rng),
        "trivial_augment": lambda image, rng: trivial_augment(image, (0, 0, 0), rng),
        "erasing": lambda image, rng: random_erase(image, recipe.erasing, fill, rng),
    }
    return [changes[name] for name in AUGMENTATIONS if getattr(recipe, name)]


def mixed(
    recipe: Recipe, images: np.ndarray, values: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the images of a batch with the recipe's mixing, and values of them, float32 (batch, n), mixed likewise."""
    wanted = [name for name in MIXING if getattr(recipe, name)]
    if not wanted:
        return images, values
    name = wanted[rng.integers(len(wanted))]
    return MIXING[name](images, values, getattr(recipe, name), rng)


def as_targets(recipe: Recipe, shares: np.ndarray, examples: Examples) -> np.ndarray:
    """Return shares of the classes, float32 (batch, classes), as the targets of the loss: smoothed, or yes and no."""
    if recipe.label_smoothing:
        even = HALF if examples.several else 1 / len(examples.classes)
        shares = shares * (1 - recipe.label_smoothing) + recipe.label_smoothing * even
    if recipe.loss == "binary" and examples.shares is None:
        shares = shares > COUNTS_FROM
    return shares.astype(np.float32, copy=False)


def _balanced(order: grain.MapDataset[int], balanced: BalancedOrder) -> grain.MapDataset[int]:
    """Return an order of the same length, with the same seed for what follows it, that has the balanced images."""

    class Balanced(_grain().MapDataset):
        def __len__(self):
            return len(self._parent)

        def __getitem__(self, index):
            return self.slice(index) if isinstance(index, slice) else balanced[index]

    return Balanced(order)


def _repeated(order: grain.MapDataset[int], times: int) -> grain.MapDataset[int]:
    """Return an order of the same length in which each of the first elements comes `times` times in a row."""
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
    preprocessing: Preprocessing | Views,
    batch_size: int,
    multiple: int = 1,
    share: tuple[int, int] = (0, 1),
) -> Iterable[tuple[np.ndarray, int]]:
    """Return all images once, in order, as batches: uint8 (batch, size, size, 3) and the number of images that count.

    With views, the batches are (batch, views, size, size, 3).

    The last batch is padded with copies of its last image, so that no backend compiles a second shape.

    Args:
        examples: labelled images.
        preprocessing: preprocessing of the images, or their views.
        batch_size: images in a batch; reduced to the number of examples if there are fewer.
        multiple: number to whose next multiple the batch is rounded up.
        share: index of the part of the rows of every batch to make, and the number of parts.

    Raises:
        ImageError: an image can't be read; raised by the iterator at its batch.
    """
    count = len(examples)
    batch = -(-min(batch_size, count) // multiple) * multiple
    rows = range(batch)[share[0] * batch // share[1] : (share[0] + 1) * batch // share[1]]

    def make(number: int) -> tuple[np.ndarray, int]:
        first, last = number * batch, min((number + 1) * batch, count) - 1
        images = {i: read_image_of(examples, preprocessing, i) for i in {min(first + row, last) for row in rows}}
        return np.stack([images[min(first + row, last)] for row in rows]), last + 1 - first

    return _grain().MapDataset.range(-(-count // batch)).map(make).to_iter_dataset(_read_ahead())


def read_image_of(examples: Examples, preprocessing: Preprocessing | Views, index: int) -> np.ndarray:
    """Return the image of an example as it is evaluated, uint8 (size, size, 3)."""
    return prepared(examples.images[index], preprocessing)


def prepared(image, preprocessing: Preprocessing | Views) -> np.ndarray:
    """Return a file or an array uint8 (H, W, 3) as it is evaluated."""
    return preprocessing.apply(image) if isinstance(image, np.ndarray) else preprocessing.load(image)


def reading_threads() -> int:
    """Return the number of threads that make batches."""
    return min(MAX_THREADS, os.cpu_count() or 1)


def _read_ahead(workers: int | None = None) -> grain.ReadOptions:
    # Each thread makes a complete batch. Pillow releases the interpreter lock while it decodes and resizes, so one
    # thread per core helps, up to MAX_THREADS. 16 threads hold 0.7 GB at 256 x 224 x 224.
    threads = reading_threads() if workers is None else workers
    return _grain().ReadOptions(num_threads=threads, prefetch_buffer_size=threads + 2 if threads else 0)


def _grain():
    """Import grain without its warning that JAX's profiler is missing.

    absl's logger adds a handler to the root logger with its first line, unless there is one. Importing grain must not
    change a program's log.
    """
    root, placeholder = logging.getLogger(), logging.NullHandler()
    logger = logging.getLogger("absl")
    level = logger.level
    root.addHandler(placeholder)
    logger.setLevel(logging.ERROR)
    try:
        return importlib.import_module("grain")
    finally:
        logger.setLevel(level)
        root.removeHandler(placeholder)
