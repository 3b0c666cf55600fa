"""What requests are answered with: images are decoded by threads, and computed by the batcher of their model."""

from __future__ import annotations

import asyncio
import io
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from resnext.errors import ClosedError
from resnext.images.decode import read_image
from resnext.images.preprocessing import Preprocessing
from resnext.inference.model import Model
from resnext.serving.metrics import Metrics
from resnext.serving.models import Loaded, Models, ServedModel
from resnext.serving.network import Answers
from resnext.serving.options import ServingOptions


class Seen(NamedTuple):
    """Images as the network sees them, uint8 (images, size, size, 3), and the part of the first that it sees.

    The part is (left, upper, right, lower), in shares of the upright image; None for pixels.
    """

    pixels: np.ndarray
    part: tuple[float, float, float, float] | None = None


class Service:
    """Models with all that requests to them share.

    Args:
        models: models by name.
        options: deadline and limits.
        metrics: counters.
    """

    def __init__(self, models: Models, options: ServingOptions, metrics: Metrics):
        self.models, self.options, self.metrics = models, options, metrics
        self.is_draining = False
        self.in_flight = 0  # requests
        self.threads = ThreadPoolExecutor((os.cpu_count() or 1) + 1, "decode")

    async def in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function in a thread: nothing long may hold up the loop that serves all connections."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, function, *arguments)

    async def compute(
        self, served: ServedModel, count: int, read: Callable[[Preprocessing], Seen], started: float
    ) -> tuple[Model, Seen, Answers]:
        """Read and compute images.

        Args:
            served: model to ask.
            count: number of images.
            read: function that returns them; it is called in a thread.
            started: time of the request, of `time.monotonic`.

        Raises:
            OverloadedError: too many images are waiting.
            DeadlineError, TimeoutError: the deadline has passed.
            ImageError: an image can't be read.
        """
        until = started + self.options.deadline
        loaded = _admitted(served, count)
        try:
            async with asyncio.timeout(until - time.monotonic()):
                seen = await self.in_thread(read, loaded.model.preprocessing)
                future = loaded.batcher.submit(seen.pixels, until)
                return loaded.model, seen, await asyncio.wrap_future(future)
        finally:
            loaded.batcher.leave(count)


def _admitted(served: ServedModel, count: int) -> Loaded:
    """Make room in the model as it is now; it may be replaced at any moment."""
    while True:
        loaded = served.loaded
        try:
            loaded.batcher.admit(count)
        except ClosedError:
            if loaded is served.loaded:
                raise
            continue
        return loaded


def read_files(files: list[bytes], preprocessing: Preprocessing) -> Seen:
    """Read the contents of image files as `predict` reads files. Raises ImageError."""
    pixels = [read_image(io.BytesIO(each), at_least=2 * preprocessing.resize) for each in files]
    height, width, _ = pixels[0].shape
    left, upper, right, lower = preprocessing.seen(width, height)
    part = (left / width, upper / height, right / width, lower / height)
    return Seen(np.stack([preprocessing.apply(each) for each in pixels]), part)
