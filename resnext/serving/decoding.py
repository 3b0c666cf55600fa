"""Decoding of uploaded images in threads: usual photos in all of them, costly ones in a thread of their own."""

from __future__ import annotations

import io
import math
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from resnext.data.batches import reading_threads
from resnext.errors import DeadlineError, OverloadedError
from resnext.images.decode import decoding_cost
from resnext.images.preprocessing import Preprocessing
from resnext.serving.limits import COSTLY, COSTLY_PER_SECOND, MAX_COSTLY


class Seen(NamedTuple):
    """Images as the network sees them, uint8 (images, size, size, 3), and the part of the first image that it sees.

    The part is (left, upper, right, lower), in shares of the upright image; None for pixels.
    """

    pixels: np.ndarray
    part: tuple[float, float, float, float] | None = None


class Decoder:
    """Decodes the files of requests in threads, so that nobody who sends costly ones holds up usual photos."""

    def __init__(self):
        self.usual = ThreadPoolExecutor(max(2, reading_threads()), "decode")
        self.costly = ThreadPoolExecutor(1, "decode-costly")
        self.waiting = 0  # cost of the files that the second one decodes, or will
        self._lock = threading.Lock()

    def decode(self, files: list[bytes], preprocessing: Preprocessing, until: float) -> Future[Seen | int]:
        """Read image files unless they are costly; then return what they cost.

        Args:
            files: contents of the files.
            preprocessing: preprocessing of the network.
            until: time by `time.monotonic` after which no further file is read: a DeadlineError.
        """
        return self.usual.submit(_read_usual, files, preprocessing, until)

    def decode_costly(self, files: list[bytes], preprocessing: Preprocessing, until: float, cost: int) -> Future[Seen]:
        """Read costly image files, one after another. Raises OverloadedError if too many are waiting.

        Args:
            files, preprocessing, until: as in `decode`.
            cost: what they cost.
        """
        with self._lock:
            if self.waiting and self.waiting + cost > MAX_COSTLY:
                raise OverloadedError(math.ceil(self.waiting / COSTLY_PER_SECOND))
            self.waiting += cost
        reading = self.costly.submit(read_files, files, preprocessing, until)
        reading.add_done_callback(lambda _: self._leave(cost))
        return reading

    def close(self) -> None:
        """Accept no more files; those that are being read end on their own."""
        for threads in (self.usual, self.costly):
            threads.shutdown(wait=False, cancel_futures=True)

    def _leave(self, cost: int) -> None:
        with self._lock:
            self.waiting -= cost


def read_files(files: list[bytes], preprocessing: Preprocessing, until: float) -> Seen:
    """Read the contents of image files as `predict` reads files. Raises ImageError, DeadlineError."""
    prepared, parts = [], []
    for content in files:  # one complete image at a time
        if time.monotonic() > until:
            raise DeadlineError("the deadline has passed")
        image = preprocessing.read(io.BytesIO(content))
        width, height = image.size
        left, upper, right, lower = preprocessing.seen(width, height)
        parts.append((left / width, upper / height, right / width, lower / height))
        prepared.append(preprocessing.apply(image))
    return Seen(np.stack(prepared), parts[0])


def _read_usual(files: list[bytes], preprocessing: Preprocessing, until: float) -> Seen | int:
    cost = sum(decoding_cost(io.BytesIO(content)) for content in files)
    return cost if cost > COSTLY else read_files(files, preprocessing, until)
