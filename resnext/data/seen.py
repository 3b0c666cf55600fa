"""The images that a network has seen before its training: they must not be tested on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from resnext.data.copies import sha256_of_images
from resnext.data.examples import Examples
from resnext.data.folders import composed
from resnext.errors import DataError, counted, printable

TRAINED, FREE, HELD_OUT = -1, 0, 1  # an image that was trained on, that is new, and that was held out


@dataclass(frozen=True)
class Seen:
    """The images that the run whose weights a training starts from, and the runs before it, have seen.

    Args:
        run: its folder, for messages.
        trained: SHA-256 of the images that were trained on, in hexadecimal.
        held_out: likewise of the images that were held out.
        paths: paths of the images held out, for a run of an earlier version, which has no hashes of them.
    """

    run: str
    trained: frozenset[str] = frozenset()
    held_out: frozenset[str] = frozenset()
    paths: frozenset[str] = frozenset()

    def kinds(self, examples: Examples, paths: Sequence[str]) -> tuple[np.ndarray, list[str]]:
        """Return for each image whether it was TRAINED on, is FREE or was HELD_OUT, int8 (images,), and its hash.

        An image that was trained on counts as that, even if a copy of it was held out.
        """
        hashes = sha256_of_images(examples.images)
        if not hashes:
            return np.full(len(examples), FREE, np.int8), []
        names = {composed(path) for path in self.paths}
        kinds = [
            TRAINED if value in self.trained
            else HELD_OUT if value in self.held_out or composed(path) in names
            else FREE
            for value, path in zip(hashes, paths, strict=True)
        ]  # fmt: skip
        return np.array(kinds, np.int8), hashes

    def without_trained(self, part: str, examples: Examples) -> tuple[Examples, list[str]]:
        """Return the images of a part that the run was not trained on, and a line about the others.

        Raises:
            DataError: none is left.
        """
        trained = [value in self.trained for value in sha256_of_images(examples.images)]
        if not any(trained):
            return examples, []
        count = counted(sum(trained), "image")
        first = printable(str(examples.images[trained.index(True)]))
        if all(trained):
            raise DataError(
                f"{self.run} was trained on all {count} of the {part} part, the first of them {first}. Pass other "
                "images to test on, or start from other weights"
            )
        return examples.take(np.flatnonzero(~np.array(trained))), [
            f"left out of the {part} part: {count} of {len(trained):,}, on which {self.run} was trained, the first "
            f"{first}"
        ]
