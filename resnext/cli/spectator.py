"""Standard error for a command: the work continues even if its reader leaves."""

from __future__ import annotations

import os
import sys
from typing import IO, Any


def open_closed_streams() -> None:
    """Discard what is written to a standard stream that the process was started without, as by `>&-`."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8"))  # noqa: SIM115


class Spectator:
    """A text stream whose reader may leave; everything written after that is discarded.

    Args:
        stream: stream of a file descriptor.
    """

    def __init__(self, stream: IO[str]):
        self.stream = stream

    def write(self, text: str) -> int:
        """Write text; return the number of characters."""
        try:
            return self.stream.write(text)
        except OSError:
            self._leave()
            return len(text)

    def flush(self) -> None:
        """Write everything that is still buffered."""
        try:
            self.stream.flush()
        except OSError:
            self._leave()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def _leave(self) -> None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())
