"""A watchdog for files that hang: a network file system that does not respond would stall a training silently."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator

from resnext.images.decode import being_read

NAMED_AFTER = 20.0  # seconds
ENDED_AFTER = 300.0
EXIT_CODE = 74  # EX_IOERR


@contextlib.contextmanager
def watch_files(
    report: Callable[[str], None], named_after: float | None = None, ended_after: float = ENDED_AFTER
) -> Iterator[None]:
    """Report each image that takes too long to read inside the block, and finally end the process.

    Ending the process is the only way out: a thread cannot be called back from a read that does not return.

    Args:
        report: function that prints a line.
        named_after: seconds after which an image is reported; NAMED_AFTER by default.
        ended_after: seconds after which the process ends with status EXIT_CODE.
    """
    left = threading.Event()
    named_after = NAMED_AFTER if named_after is None else named_after

    def watch():
        named = set()
        while not left.wait(min(1.0, named_after)):
            for read in [*being_read.values()]:
                name, since = read
                waited = time.monotonic() - since
                if waited >= ended_after:
                    os.write(2, f"resnext: giving up on {name}: no data for {waited:.0f} s\n".encode())
                    os._exit(EXIT_CODE)
                if waited >= named_after and read not in named:
                    named.add(read)
                    limit = f"giving up after {ended_after:.0f} s"
                    report(f"still waiting for {name} after {waited:.0f} s ({limit})")

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        left.set()
