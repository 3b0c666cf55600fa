"""The parts of a data set, and digests by which they are recognised."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from resnext.data.examples import Examples
from resnext.data.folders import file_size, sha256_of
from resnext.data.pixels import Pixels, are_files
from resnext.errors import DataError, one_line

SAMPLED = 200  # files whose bytes are compared before a training is resumed


@dataclass(frozen=True, eq=False)
class Splits:
    """The three parts of a data set; `validation` and `test` may be the same object."""

    train: Examples
    validation: Examples
    test: Examples
    held_out: tuple[str, ...] = ()  # paths of a randomly drawn test part, relative to the folder of the class folders
    notes: tuple[str, ...] = ()  # what the user must know about how the images were held out


def fingerprint(splits: Splits) -> str:
    """Return a digest that identifies the images, wherever they are stored.

    Files count by class and file name, arrays by their bytes.
    """
    digest = hashlib.sha256()
    for part in (splits.train, splits.validation, splits.test):
        if isinstance(part.images, np.ndarray):
            digest.update(np.asarray(part.images).tobytes())
        elif are_files(part.images):
            names = "\0".join(str(image).rsplit("/", 1)[-1] for image in part.images)
            digest.update(names.encode("utf-8", "surrogateescape"))
        digest.update(part.labels.tobytes() + repr(part.classes).encode("utf-8", "surrogateescape"))
        for values in (part.shares, part.weights):
            digest.update(b"" if values is None else values.tobytes())
    return digest.hexdigest()


def contents_sha256(splits: Splits, seed: int) -> str:
    """Return a digest of the content of the files: the size of each, and the bytes of some that a seed draws.

    Raises:
        DataError: a file can't be read.
    """
    parts = dict.fromkeys((splits.train, splits.validation, splits.test))
    files = [image for part in parts if are_files(part.images) for image in part.images]
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part.images, Pixels):  # `fingerprint` has those of arrays
            for index in _drawn(len(part), seed):
                digest.update(np.ascontiguousarray(part.images[index]).data)
    try:
        digest.update(np.array([file_size(file) for file in files], "<i8").tobytes())
        for index in _drawn(len(files), seed):
            digest.update(sha256_of(files[index]))
    except (OSError, ValueError) as error:
        raise DataError(f"an image can't be read: {one_line(error)}") from error
    return digest.hexdigest()


def _drawn(count: int, seed: int) -> list[int]:
    """Return the indices of some of the images, in order."""
    return sorted(np.random.default_rng(seed).choice(count, min(SAMPLED, count), replace=False).tolist())
