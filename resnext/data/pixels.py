"""Images that are not files: arrays, and images that a source in Python decodes when they are needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from resnext.data.folders import Member
from resnext.images.pixels import as_pixels


class Pixels:
    """Images of any sizes, each uint8 (height, width, channels) when it is asked for; several threads may ask at once.

    Args:
        read: function from an index to an image of any kind that `as_pixels` takes.
        indices: the images among those of the source, int (images,).
    """

    def __init__(self, read: Callable[[int], Any], indices: np.ndarray):
        self.read, self.indices = read, indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        return as_pixels(self.read(int(self.indices[index])))

    def __iter__(self) -> Iterator[Any]:
        return map(self.__getitem__, range(len(self)))

    def take(self, kept: np.ndarray) -> Pixels:
        """Return some of the images."""
        return Pixels(self.read, self.indices[kept])


def are_files(images: Any) -> TypeGuard[Sequence[Path | Member]]:
    """Return whether images are files, not pixels."""
    return not isinstance(images, np.ndarray | Pixels)
