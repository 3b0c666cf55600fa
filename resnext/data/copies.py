"""Copies of an image under other names: files with the same bytes."""

from __future__ import annotations

from collections.abc import Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np

from resnext.data.folders import Member, file_size, sha256_of
from resnext.data.pixels import Pixels, are_files
from resnext.errors import DataError, one_line

Images = Sequence[Path | Member] | np.ndarray | Pixels
THREADS = 8  # that wait for files
MAX_COMPARED = 50_000  # images; in larger sets most sizes occur several times, and comparing them reads all files


def sha256_of_images(images: Images) -> list[str]:
    """Return the SHA-256 of each file in hexadecimal; none for an array. Raises DataError if one can't be read."""
    if not are_files(images):
        return []
    with ThreadPool(THREADS) as pool:
        try:
            return list(pool.imap(lambda image: sha256_of(image).hex(), images, chunksize=16))
        except (OSError, ValueError) as error:
            raise DataError(f"an image can't be read: {one_line(error)}") from error


def first_copies(images: Images) -> np.ndarray:
    """Return the index of the first image with the same bytes as each image, int (images,).

    Only files of equal size are read. Of more than 50,000 images, none are compared.
    """
    firsts = np.arange(len(images))
    if not are_files(images) or len(images) > MAX_COMPARED:
        return firsts
    try:
        sizes = np.array([file_size(image) for image in images])
    except (OSError, ValueError):
        return firsts  # a file that can't be read is reported when all are checked
    _, places, counts = np.unique(sizes, return_inverse=True, return_counts=True)
    alike = np.flatnonzero(counts[places] > 1)
    firsts[alike] = alike[firsts_by_hash(sha256_of_images([images[i] for i in alike.tolist()]))]
    return firsts


def copies_in(examples: Images, train: Images) -> int:
    """Return the number of images that have the same bytes as one of the training images.

    Only files of equal size are read. If there are more than 50,000 images together, none are compared.
    """
    if not are_files(examples) or not are_files(train):
        return 0
    firsts = first_copies([*train, *examples])
    return int((firsts[len(train) :] < len(train)).sum())


def firsts_by_hash(hashes: Sequence[str]) -> np.ndarray:
    """Return the index of the first image with the same hash as each image, int (images,)."""
    _, firsts, places = np.unique(np.array(hashes, dtype=str), return_index=True, return_inverse=True)
    return firsts[places]
