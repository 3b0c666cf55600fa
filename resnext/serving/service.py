"""The service behind the requests: threads decode images, and the batcher of their model computes them."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from resnext.data.batches import reading_threads
from resnext.engines.engine import Outputs
from resnext.errors import ClosedError, RequestError
from resnext.images.decode import read_image
from resnext.images.preprocessing import Preprocessing
from resnext.inference.model import Model
from resnext.serving.metrics import Metrics
from resnext.serving.models import Loaded, Models, ServedModel
from resnext.serving.options import ServingOptions


class Seen(NamedTuple):
    """Images as the network sees them, uint8 (images, size, size, 3), and the part of the first image that it sees.

    The part is (left, upper, right, lower), in shares of the upright image; None for pixels.
    """

    pixels: np.ndarray
    part: tuple[float, float, float, float] | None = None


class Service:
    """The models, and the state shared by requests to them.

    Args:
        models: models by name.
        options: deadline and limits.
        metrics: counters.
    """

    def __init__(self, models: Models, options: ServingOptions, metrics: Metrics):
        self.models, self.options, self.metrics = models, options, metrics
        self.is_draining = False
        self.in_flight = 0  # requests
        self.body_bytes = 0  # of all requests being read or computed
        self.readers = ThreadPoolExecutor(reading_threads(), "decode")
        self.writer = ThreadPoolExecutor(1, "protocol")  # one JSON at a time: a hostile one takes 20 times its size

    async def in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function in a thread, because nothing slow may block the loop that serves all connections."""
        return await asyncio.get_running_loop().run_in_executor(self.writer, function, *arguments)

    async def compute(
        self, served: ServedModel, count: int, read: Callable[[Preprocessing], Seen], started: float
    ) -> tuple[Model, Seen, Outputs]:
        """Read and compute images.

        Args:
            served: model to use.
            count: number of images.
            read: function that returns them; it is called in a thread.
            started: time of the request by `time.monotonic`; after the deadline nobody waits for its answer.

        Raises:
            OverloadedError: too many images are waiting.
            DeadlineError: the deadline has passed.
            ImageError: an image can't be read.
        """
        loaded, ahead = _admitted(served, count)
        admitted = time.monotonic()
        reading = self.readers.submit(read, loaded.model.preprocessing)
        try:
            seen = await asyncio.wrap_future(reading)
            future = loaded.batcher.submit(seen.pixels, started + self.options.deadline)
            outputs = await asyncio.wrap_future(future)
            loaded.batcher.measure(ahead, time.monotonic() - admitted)
            return loaded.model, seen, outputs
        finally:  # room is released when the thread ends, even if nobody waits any more
            reading.add_done_callback(lambda _: loaded.batcher.leave(count))


def _admitted(served: ServedModel, count: int) -> tuple[Loaded, int]:
    """Reserve room with the currently loaded model; return it and its number of admitted images."""
    while True:
        loaded = served.loaded
        try:
            return loaded, loaded.batcher.admit(count)
        except ClosedError:
            if loaded is served.loaded:
                raise


def read_files(files: list[bytes], preprocessing: Preprocessing) -> Seen:
    """Read the contents of image files as `predict` reads files. Raises ImageError."""
    prepared, parts = [], []
    for content in files:  # one complete image at a time
        image = read_image(io.BytesIO(content), at_least=2 * preprocessing.resize)
        height, width, _ = image.shape
        left, upper, right, lower = preprocessing.seen(width, height)
        parts.append((left / width, upper / height, right / width, lower / height))
        prepared.append(preprocessing.apply(image))
    return Seen(np.stack(prepared), parts[0])


def pass_pixels(pixels: np.ndarray, preprocessing: Preprocessing) -> Seen:
    """Return pixels that a client has prepared. Raises RequestError if they do not have the network's size."""
    if pixels.shape[1] != preprocessing.size:  # the model was replaced by one with a different size
        raise RequestError(f"the images of this model are {preprocessing.size} pixels wide")
    return Seen(pixels)
