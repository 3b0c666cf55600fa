"""Images that are not files: arrays, and images that a source in Python decodes when they are needed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from resnext.data.folders import Member
from resnext.errors import ImageError, ResNeXtError, one_line
from resnext.images.pixels import as_pixels
from resnext.images.preprocessing import Channels


class Pixels:
    """Images of any sizes, each uint8 (height, width, channels) when it is asked for; several threads may ask at once.

    Args:
        read: function from an index to an image of any kind that `as_pixels` takes.
        indices: the images among those of the source, int (images,).
        hashes: SHA-256 of images of the source, as far as they are known.
        channels: as in `Preprocessing`.

    Raises:
        ImageError: an image can't be read; the message begins with its index in the source.
    """

    def __init__(
        self,
        read: Callable[[int], Any],
        indices: np.ndarray,
        hashes: dict[int, str] | None = None,
        channels: Channels = "rgb",
    ):
        self.read, self.indices, self._hashes = read, indices, {} if hashes is None else hashes
        self.channels: Channels = channels

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        number = int(self.indices[index])
        try:
            return as_pixels(self.read(number), self.channels)
        except ResNeXtError as error:
            raise ImageError(f"image {number}: {error}") from error
        except Exception as error:  # of whoever wrote the source
            raise ImageError(f"image {number}: {type(error).__name__}: {one_line(error)}") from error

    def __iter__(self) -> Iterator[Any]:
        return map(self.__getitem__, range(len(self)))

    def take(self, kept: np.ndarray) -> Pixels:
        """Return some of the images."""
        return Pixels(self.read, self.indices[kept], self._hashes, self.channels)

    def of_channels(self, channels: Channels) -> Pixels:
        """Return the images for a network of such channels."""
        return Pixels(self.read, self.indices, self._hashes, channels)

    def sha256(self, index: int, image: np.ndarray | None = None) -> str:
        """Return the SHA-256 of an image in hexadecimal; it is decoded for it once, unless it is passed."""
        number = int(self.indices[index])
        if number not in self._hashes:
            self._hashes[number] = sha256_of_pixels(self[index] if image is None else image)
        return self._hashes[number]


def sha256_of_pixels(image: np.ndarray) -> str:
    """Return the SHA-256 of the shape and the values of an image in hexadecimal."""
    digest = hashlib.sha256(repr(image.shape).encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


def are_files(images: Any) -> TypeGuard[Sequence[Path | Member]]:
    """Return whether images are files, not pixels."""
    return not isinstance(images, np.ndarray | Pixels)
