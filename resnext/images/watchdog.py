"""Files that hang: a network file system that does not answer would hold a training up without a word."""

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
    say: Callable[[str], None], named_after: float = NAMED_AFTER, ended_after: float = ENDED_AFTER
) -> Iterator[None]:
    """Inside the block an image that takes too long to read is named, and in the end ends the process.

    Nothing else can be done: no thread can be called back from a read that does not return.
    """
    left = threading.Event()

    def watch():
        named = set()
        while not left.wait(min(1.0, named_after)):
            for read in [*being_read.values()]:
                name, since = read
                waited = time.monotonic() - since
                if waited >= ended_after:
                    os.write(2, f"resnext: {name}: can't be read, for {waited:.0f} s; that is the end\n".encode())
                    os._exit(EXIT_CODE)
                if waited >= named_after and read not in named:
                    named.add(read)
                    wait = f"the training waits for it, {ended_after:.0f} s at most"
                    say(f"{name}: has not come for {waited:.0f} s; {wait}")

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        left.set()
