"""The service behind the requests: the decoder reads images, and the batcher of their model computes them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from resnext.engines.engine import Outputs
from resnext.errors import ClosedError, OverloadedError, RequestError
from resnext.images.preprocessing import Preprocessing
from resnext.inference.model import Model
from resnext.serving.bodies import Bodies
from resnext.serving.decoding import Decoder, Seen
from resnext.serving.metrics import Metrics
from resnext.serving.models import Loaded, Models, ServedModel
from resnext.serving.options import ServingOptions


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
        self.bodies, self.decoder = Bodies(), Decoder()
        self.parser = ThreadPoolExecutor(1, "parse")  # one JSON at a time: a hostile one takes 20 times its size
        self.writer = ThreadPoolExecutor(1, "write")

    async def in_thread(self, threads: ThreadPoolExecutor, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function in a thread, because nothing slow may block the loop that serves all connections."""
        return await asyncio.get_running_loop().run_in_executor(threads, function, *arguments)

    async def compute(
        self, served: ServedModel, images: np.ndarray | list[bytes], started: float
    ) -> tuple[Model, Seen, Outputs]:
        """Read and compute images.

        Args:
            served: model to use.
            images: pixels that the client has prepared, or the contents of image files.
            started: time of the request by `time.monotonic`; after the deadline nobody waits for its answer.

        Raises:
            OverloadedError: too many images are waiting.
            DeadlineError: the deadline has passed.
            ImageError: an image can't be read.
            RequestError: the pixels do not have the network's size.
            WeightsError: the network's answers are not finite.
        """
        loaded, ahead = _admitted(served, len(images))
        admitted, until = time.monotonic(), started + self.options.deadline
        reading = self._read(images, loaded.model.preprocessing, until)
        try:
            seen = await asyncio.wrap_future(reading)
            if isinstance(seen, Seen):
                outputs = await self._answered(loaded, seen, until)
                loaded.batcher.measure(ahead, time.monotonic() - admitted)
                return loaded.model, seen, outputs
        finally:  # room is released when the thread ends, even if nobody waits any more
            reading.add_done_callback(lambda _: loaded.batcher.leave(len(images)))
        return await self._compute_costly(served, loaded, list(images), until, seen)

    async def _compute_costly(
        self, served: ServedModel, loaded: Loaded, files: list[bytes], until: float, costs: list[int]
    ) -> tuple[Model, Seen, Outputs]:
        """Read costly images, and only then take the room that small ones need."""
        seen = await self.decoder.decode_costly(files, loaded.model.preprocessing, until, costs)
        again, _ = _admitted(served, len(files))
        try:
            if again is not loaded:  # replaced by another network, which may see other parts of them
                raise OverloadedError(1)
            return loaded.model, seen, await self._answered(loaded, seen, until)
        finally:
            again.batcher.leave(len(files))

    async def _answered(self, loaded: Loaded, seen: Seen, until: float) -> Outputs:
        outputs = await asyncio.wrap_future(loaded.batcher.submit(seen.pixels, until))
        return outputs.finite(loaded.model.name)

    def _read(
        self, images: np.ndarray | list[bytes], preprocessing: Preprocessing, until: float
    ) -> Future[Seen | list[int]]:
        """Return the images as the network sees them, or the costs of files that are costly to read."""
        if isinstance(images, list):
            return self.decoder.decode(images, preprocessing, until)
        reading: Future[Seen | list[int]] = Future()
        if images.shape[1] == preprocessing.size:
            reading.set_result(Seen(images))
        else:  # the model was replaced by one with a different size
            reading.set_exception(RequestError(f"the images of this model are {preprocessing.size} pixels wide"))
        return reading


def _admitted(served: ServedModel, count: int) -> tuple[Loaded, int]:
    """Reserve room with the currently loaded model; return it and its number of admitted images."""
    while True:
        loaded = served.loaded
        try:
            return loaded, loaded.batcher.admit(count)
        except ClosedError:
            if loaded is served.loaded:
                raise
