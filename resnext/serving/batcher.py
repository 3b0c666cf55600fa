"""Dynamic batching: one thread computes many requests together, as many images at once as are waiting."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import NamedTuple

import numpy as np

from resnext.engines.engine import Outputs
from resnext.errors import ClosedError, DeadlineError, OverloadedError
from resnext.serving.pace import Network, Pace

SHARE = 0.8  # of the deadline: a request that would wait longer is refused immediately
SMOOTHING = 0.2  # weight of the newest request in the mean time for an image


class _Work(NamedTuple):
    images: np.ndarray
    until: float
    future: Future[Outputs]


class Batcher:
    """Computes images in batches in its own thread, in order of arrival.

    Args:
        network: function that computes a batch.
        pace: most images in a batch, and the seconds per image in such a batch.
        queue: images that may wait.
        deadline: seconds that a request may take.
        computed: called with the number of images and the seconds of each batch.
    """

    def __init__(
        self,
        network: Network,
        pace: Pace,
        queue: int,
        deadline: float,
        computed: Callable[[int, float], None] = lambda images, seconds: None,
    ):
        self.network, self.queue, self.deadline = network, queue, deadline
        self.batch_size, self.seconds_per_image = pace
        self.computed = computed
        self.admitted = 0  # images being read, waiting or being computed
        self._works: deque[_Work] = deque()
        self._change = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="network", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the computing thread is alive."""
        return self._thread.is_alive()

    def admit(self, images: int) -> int:
        """Reserve room for a request's images before they are decoded, and return the new number of admitted images.

        Raises:
            OverloadedError: there are too many, or they would miss the deadline.
            ClosedError: the batcher is shutting down.
        """
        with self._change:
            if self._closed:
                raise ClosedError("the server is shutting down and accepts no more work")
            wait = (self.admitted + images) * self.seconds_per_image
            is_late = self.admitted > 0 and wait > SHARE * self.deadline
            if self.admitted + images > self.queue or is_late:
                raise OverloadedError(max(1, math.ceil(self.admitted * self.seconds_per_image)))
            self.admitted += images
            return self.admitted

    def measure(self, images: int, seconds: float) -> None:
        """Update the time per image from a request answered `seconds` after it was admitted as the last of `images`."""
        with self._change:
            self.seconds_per_image += SMOOTHING * (seconds / images - self.seconds_per_image)

    def leave(self, images: int) -> None:
        """Release the room of a finished request."""
        with self._change:
            self.admitted -= images
            self._change.notify_all()

    def submit(self, images: np.ndarray, until: float) -> Future[Outputs]:
        """Compute admitted images, uint8 (images, size, size, 3), before a deadline by `time.monotonic`."""
        work = _Work(images, until, Future())
        with self._change:
            self._works.append(work)
            self._change.notify_all()
        return work.future

    def close(self, timeout: float) -> None:
        """Accept no more work, and return once all admitted work is answered, or after `timeout` seconds."""
        end = time.monotonic() + timeout
        with self._change:
            self._closed = True
            self._change.notify_all()
            while self.admitted and time.monotonic() < end:
                self._change.wait(max(0.0, end - time.monotonic()))
        self._thread.join(max(0.0, end - time.monotonic()))

    def _run(self) -> None:
        while works := self._next():
            try:
                outputs = self._compute(np.concatenate([work.images for work in works]))
            except Exception as error:  # each request gets it, and the thread continues
                for work in works:
                    work.future.set_exception(error)
                continue
            first = 0
            for work in works:
                work.future.set_result(outputs.part(first, len(work.images)))
                first += len(work.images)

    def _compute(self, images: np.ndarray) -> Outputs:
        started = time.monotonic()
        batches = [images[i : i + self.batch_size] for i in range(0, len(images), self.batch_size)]
        outputs = Outputs.joined([self.network(batch) for batch in batches])
        self.computed(len(images), time.monotonic() - started)
        return outputs

    def _next(self) -> list[_Work]:
        """Wait for work and return as much as fits into a batch, or an empty list at the end."""
        while True:
            with self._change:
                while not self._works and not (self._closed and not self.admitted):
                    self._change.wait()
                works, images = [], 0
                while self._works and (not works or images + len(self._works[0].images) <= self.batch_size):
                    works.append(self._works.popleft())
                    images += len(works[-1].images)
            if not works:
                return []
            if wanted := [work for work in works if _is_wanted(work)]:
                return wanted


def _is_wanted(work: _Work) -> bool:
    """Return whether work is still needed: it was not cancelled, and its deadline has not passed."""
    if not work.future.set_running_or_notify_cancel():
        return False
    if work.until < time.monotonic():
        work.future.set_exception(DeadlineError("the deadline has passed"))
        return False
    return True
