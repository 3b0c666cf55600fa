"""From labelled images to batches: threads read, augment and stack them ahead of the step."""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from resnext.preprocessing import ImageError, Preprocessing
from resnext.sources import Examples

if TYPE_CHECKING:
    import grain

Augmentation = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def steps_per_epoch(examples: Examples, batch_size: int) -> int:
    """Batches in one epoch of `training_batches`.

    >>> steps_per_epoch(Examples(np.zeros((50, 8, 8, 3), np.uint8), np.zeros(50, np.int32), ("a", "b")), 16)
    3
    """
    return len(examples) // images_per_step(examples, batch_size)


def images_per_step(examples: Examples, batch_size: int) -> int:
    """The batch size, or, where there are fewer, all the examples."""
    return min(batch_size, len(examples))


def training_batches(
    examples: Examples,
    preprocessing: Preprocessing,
    augmentations: Sequence[Augmentation],
    batch_size: int,
    seed: int,
) -> grain.IterDataset[tuple[np.ndarray, np.ndarray]]:
    """Batches without end: images uint8 (batch, size, size, 3) and labels int32 (batch,).

    Batch i is a function of `seed` and i alone, whatever the threads do. Every epoch is a new permutation;
    what doesn't fill a batch is left out. An iterator goes on at step i after `set_state({"next_index": i})`.

    Args:
        examples: at least one.
        preprocessing: applied before the augmentations.
        augmentations: functions of (image, rng), applied in order; rng is lent for the call.
        batch_size: 1 or more; all the examples, where there are fewer.
        seed: from 0 to 2**32 - 1.

    Raises:
        ImageError: from the iterator, at the batch with an image that can't be read.
    """
    grain = _grain()

    def sample(index: int, rng: np.random.Generator) -> tuple[np.ndarray, np.int32]:
        image = _image(examples, preprocessing, index)
        for augment in augmentations:
            image = augment(image, rng)
        return image, examples.labels[index]

    samples = grain.MapDataset.range(len(examples)).seed(seed).shuffle().random_map(sample)
    batches = samples.batch(images_per_step(examples, batch_size), drop_remainder=True)
    # Repeated before batching, the last batch of an epoch would be filled from the next one.
    return batches.repeat().to_iter_dataset(_read_ahead())


def evaluation_batches(
    examples: Examples, preprocessing: Preprocessing, batch_size: int
) -> Iterable[tuple[np.ndarray, int]]:
    """All images once, in order: uint8 (batch, size, size, 3), and how many of them count.

    The last batch is filled up with copies of its last image, so that no backend compiles a second shape.

    Raises:
        ImageError: from the iterator, at the batch with an image that can't be read.
    """
    grain, batch = _grain(), images_per_step(examples, batch_size)

    def fill_up(images: Sequence[np.ndarray]) -> tuple[np.ndarray, int]:
        return _filled(images, batch), len(images)

    images = grain.MapDataset.range(len(examples)).map(lambda index: _image(examples, preprocessing, index))
    return images.batch(batch, batch_fn=fill_up).to_iter_dataset(_read_ahead())


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


def _image(examples: Examples, preprocessing: Preprocessing, index: int) -> np.ndarray:
    image = examples.images[index]
    return preprocessing.apply(image) if isinstance(image, np.ndarray) else preprocessing.load(image)


def reading_threads() -> int:
    """How many threads make batches."""
    return min(16, os.cpu_count() or 1)


def _read_ahead() -> grain.ReadOptions:
    # A thread makes a whole batch. Pillow lets go of the interpreter lock while it decodes and resizes, so a
    # thread per core helps. 16 of them hold 0.7 GB at 256 x 224 x 224.
    threads = reading_threads()
    return _grain().ReadOptions(num_threads=threads, prefetch_buffer_size=threads + 2)


def _grain():
    """grain, without its warning that JAX's profiler is missing."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        return importlib.import_module("grain")
    finally:
        logger.setLevel(level)
