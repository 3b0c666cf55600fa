"""Copies of an image under other names: files with the same bytes."""

from __future__ import annotations

from collections.abc import Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np

from resnext.data.folders import Member, file_size, sha256_of
from resnext.data.pixels import Pixels, are_files, sha256_of_pixels
from resnext.errors import DataError, ImageError, one_line

Images = Sequence[Path | Member] | np.ndarray | Pixels
THREADS = 8  # that wait for files
MAX_DECODED = 10_000  # images, to take their hashes before a training
MAX_COMPARED = 50_000  # images; in larger sets most sizes occur several times, and comparing them reads all files


def sha256_of_images(images: Images) -> list[str]:
    """Return the SHA-256 of each file, or of the pixels of each image in memory, in hexadecimal.

    It returns none for more than 10,000 images that would have to be decoded for it.

    Raises:
        DataError: an image can't be read.
    """
    if isinstance(images, np.ndarray):
        return [sha256_of_pixels(image) for image in images]
    if isinstance(images, Pixels) and len(images) > MAX_DECODED:
        return []
    with ThreadPool(THREADS) as pool:
        try:
            if isinstance(images, Pixels):
                return list(pool.imap(images.sha256, range(len(images)), chunksize=16))
            return list(pool.imap(lambda image: sha256_of(image).hex(), images, chunksize=16))
        except ImageError as error:
            raise DataError(str(error)) from error
        except (OSError, ValueError) as error:
            raise DataError(f"an image can't be read: {one_line(error)}") from error


def first_copies(images: Images) -> np.ndarray:
    """Return the index of the first image with the same bytes, or pixels, as each image, int (images,).

    Only files of equal size are read. Of more than 50,000 images, none are compared.
    """
    firsts = np.arange(len(images))
    if len(images) > MAX_COMPARED:
        return firsts
    if not are_files(images):
        try:
            hashes = sha256_of_images(images)
        except DataError:
            return firsts  # likewise
        return firsts_by_hash(hashes) if hashes else firsts
    try:
        sizes = np.array([file_size(image) for image in images])
    except (OSError, ValueError):
        return firsts  # a file that can't be read is reported when all are checked
    _, places, counts = np.unique(sizes, return_inverse=True, return_counts=True)
    alike = np.flatnonzero(counts[places] > 1)
    firsts[alike] = alike[firsts_by_hash(sha256_of_images([images[i] for i in alike.tolist()]))]
    return firsts


def copies_in(examples: Images, train: Images) -> int:
    """Return the number of images that have the same bytes, or pixels, as one of the training images.

    Only files of equal size are read. If there are more than 50,000 images together, none are compared.
    """
    if not are_files(examples) and not are_files(train):
        if len(train) + len(examples) > MAX_COMPARED:
            return 0
        known = {*sha256_of_images(train)}
        return sum(value in known for value in sha256_of_images(examples)) if known else 0
    if not are_files(examples) or not are_files(train):
        return 0
    firsts = first_copies([*train, *examples])
    return int((firsts[len(train) :] < len(train)).sum())


def firsts_by_hash(hashes: Sequence[str]) -> np.ndarray:
    """Return the index of the first image with the same hash as each image, int (images,)."""
    _, firsts, places = np.unique(np.array(hashes, dtype=str), return_index=True, return_inverse=True)
    return firsts[places]
