"""The SHA-256 of each training image, taken from the bytes that the first epoch reads anyway."""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from resnext.data.examples import Examples
from resnext.data.folders import Member, open_file, sha256_of
from resnext.data.pixels import Pixels, sha256_of_pixels


class ImageHashes:
    """The hashes of the training images, as far as they are known.

    Args:
        examples: training images.
        known: their hashes in hexadecimal from an earlier part of the training; None for those it did not read.
    """

    def __init__(self, examples: Examples, known: Sequence[str | None] = ()):
        self.images = examples.images
        self.known = list(known) or [None] * len(self.images)
        self.is_new = False  # whether some were added since `saved`
        self._read = bytearray(len(self.known))  # 1 for each image that this process has read

    def source(self, index: int) -> Path | Member | np.ndarray | HashedFile:
        """Return an image to read; the first time, reading it also takes its hash, and compares a known one."""
        image = self.images[index]
        if self._read[index]:
            return image
        if isinstance(image, np.ndarray):
            self._take(index, self._sha256_of(index, image))
            return image
        return HashedFile(image, partial(self._take, index))

    def complete(self) -> None:
        """Take the hashes of the images that no batch had; one that can't be read any more has none."""
        for index, known in enumerate(self.known):
            if known is None:
                with contextlib.suppress(OSError, ValueError):
                    self._take(index, self._sha256(index))

    def _sha256(self, index: int) -> str:
        if isinstance(self.images, Pixels):
            return self.images.sha256(index)
        image = self.images[index]
        return self._sha256_of(index, image) if isinstance(image, np.ndarray) else sha256_of(image).hex()

    def _sha256_of(self, index: int, image: np.ndarray) -> str:
        return self.images.sha256(index, image) if isinstance(self.images, Pixels) else sha256_of_pixels(image)

    def saved(self) -> list[str | None]:
        """Return the hashes for the run."""
        self.is_new = False
        return [*self.known]

    def _take(self, index: int, value: str) -> None:
        before = self.known[index]
        if before not in (None, value):
            raise ValueError("is not the image that the training has read before; restore it, or start a new run")
        self.is_new = self.is_new or before is None
        self.known[index], self._read[index] = value, 1


class HashedFile:
    """An image whose hash is passed on when it is read; `str()` returns its name."""

    def __init__(self, image: Path | Member, take: Callable[[str], None]):
        self.image, self.take = image, take

    def __str__(self) -> str:
        return str(self.image)

    def open(self) -> BinaryIO:
        """Return the content in memory. Raises OSError, and ValueError for another content than before."""
        with open_file(self.image) as file:
            content = file.read()
        self.take(hashlib.sha256(content).hexdigest())
        return io.BytesIO(content)
