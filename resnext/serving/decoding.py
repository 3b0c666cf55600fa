"""Decoding of uploaded images in threads: small ones in all of them, larger ones in others, the cheapest first."""

from __future__ import annotations

import asyncio
import io
import math
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from resnext.data.batches import reading_threads
from resnext.errors import DeadlineError, OverloadedError
from resnext.images.decode import decoding_cost
from resnext.images.preprocessing import Preprocessing
from resnext.serving.earliest_first import EarliestFirst
from resnext.serving.limits import COSTLY, COSTLY_PER_SECOND, MAX_COSTLY, SHARERS


class Seen(NamedTuple):
    """Images as the network sees them, uint8 (images, size, size, 3), and the part of the first image that it sees.

    The part is (left, upper, right, lower), in shares of the upright image; None for pixels.
    """

    pixels: np.ndarray
    part: tuple[float, float, float, float] | None = None


class Decoder:
    """Decodes the files of requests in threads, so that nobody who sends costly ones holds up cheaper ones.

    Files that are not small have threads of their own. There, each is due when it would be done if as many clients as
    `SHARERS` sent one like it at the same time, and the file that is due first is decoded first.
    """

    def __init__(self):
        self.usual = ThreadPoolExecutor(max(2, reading_threads()), "decode")
        self.costly = EarliestFirst(max(1, reading_threads() - 1), "decode-costly")
        self.waiting: list[tuple[float, int]] = []  # when the requests in those threads are due, and what they cost

    def decode(self, files: list[bytes], preprocessing: Preprocessing, until: float) -> Future[Seen | list[int]]:
        """Read image files unless they are costly; then return what each costs.

        Args:
            files: contents of the files.
            preprocessing: preprocessing of the network.
            until: time by `time.monotonic` after which no further file is read: a DeadlineError.
        """
        return self.usual.submit(_read_usual, files, preprocessing, until)

    async def decode_costly(
        self, files: list[bytes], preprocessing: Preprocessing, until: float, costs: Sequence[int]
    ) -> Seen:
        """Read costly image files, one after another.

        Args:
            files, preprocessing, until: as in `decode`.
            costs: what each costs.

        Raises:
            OverloadedError: too much is due before them.
            ImageError, DeadlineError: as in `read_files`.
        """
        cost, due = sum(costs), _due(sum(costs))
        ahead = sum(other for earlier, other in self.waiting if earlier <= due)
        if ahead and ahead + cost > MAX_COSTLY:
            raise OverloadedError(math.ceil(ahead / COSTLY_PER_SECOND))
        self.waiting.append((due, cost))
        try:
            seen = [
                await asyncio.wrap_future(self.costly.submit(_due(each), read_files, [file], preprocessing, until))
                for file, each in zip(files, costs, strict=True)
            ]
        finally:
            self.waiting.remove((due, cost))
        return Seen(np.concatenate([each.pixels for each in seen]), seen[0].part)

    def close(self) -> None:
        """Accept no more files; those that are being read end on their own."""
        self.usual.shutdown(wait=False, cancel_futures=True)
        self.costly.close()


def _due(cost: int) -> float:
    return time.monotonic() + SHARERS * cost / COSTLY_PER_SECOND


def read_files(files: list[bytes], preprocessing: Preprocessing, until: float) -> Seen:
    """Read the contents of image files as `predict` reads files. Raises ImageError, DeadlineError."""
    prepared, parts = [], []
    for content in files:  # one complete image at a time
        if time.monotonic() > until:
            raise DeadlineError("the deadline has passed")
        image = preprocessing.read(io.BytesIO(content))
        height, width = image.shape[:2] if isinstance(image, np.ndarray) else image.size[::-1]
        left, upper, right, lower = preprocessing.seen(width, height)
        parts.append((left / width, upper / height, right / width, lower / height))
        prepared.append(preprocessing.apply(image))
    return Seen(np.stack(prepared), parts[0])


def _read_usual(files: list[bytes], preprocessing: Preprocessing, until: float) -> Seen | list[int]:
    costs = [decoding_cost(io.BytesIO(content)) for content in files]
    return costs if sum(costs) > COSTLY else read_files(files, preprocessing, until)
