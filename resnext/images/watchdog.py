"""A watchdog for files that hang: a network file system that does not respond would stall a training silently."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator

from resnext.errors import StalledFileError
from resnext.images.decode import being_read

logger = logging.getLogger(__name__)

Reading = tuple[str, float]  # the name of an image, and since when it is being read

NAMED_AFTER = 20.0  # seconds
GIVEN_UP_AFTER = 300.0


@contextlib.contextmanager
def watch_files(give_up: Callable[[StalledFileError], None]) -> Iterator[None]:
    """Report each image that takes longer than NAMED_AFTER to read inside the block, and eventually give up.

    A thread cannot be interrupted in a read that does not return. The time in which the process itself was stopped, by
    Ctrl-Z or a scheduler, does not count.

    Args:
        give_up: called once, in the thread of the watchdog, when an image has taken longer than GIVEN_UP_AFTER.
    """
    left = threading.Event()

    def watch() -> None:
        named: set[Reading] = set()
        waited: dict[Reading, float] = {}  # seconds
        pause, before = min(1.0, NAMED_AFTER), time.monotonic()
        while not left.wait(pause):
            before, passed = time.monotonic(), time.monotonic() - before
            waited = {read: waited.get(read, 0.0) + min(passed, 2 * pause) for read in [*being_read.values()]}
            for read, seconds in waited.items():
                if seconds >= GIVEN_UP_AFTER:
                    give_up(StalledFileError(f"giving up on {read[0]}: no data for {seconds:.0f} s"))
                    return
                if seconds >= NAMED_AFTER and read not in named:
                    named.add(read)
                    limit = f"giving up after {GIVEN_UP_AFTER:.0f} s"
                    logger.warning(f"still waiting for {read[0]} after {seconds:.0f} s ({limit})")

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        left.set()
