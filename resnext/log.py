"""Lines in which resnext reports its work: records of the logger `resnext`, and how they are printed.

A program that configures logging receives them as it receives all others. Where nothing is configured, they are printed
to standard error, as a training in a terminal or a notebook should not be silent:

>>> import logging
>>> logging.getLogger("resnext").setLevel("WARNING")  # warnings only: no progress, no bar
>>> logging.getLogger("resnext").setLevel("INFO")  # as at the beginning
"""

from __future__ import annotations

import logging
import sys

logger = logging.getLogger("resnext")


class LinePrinter(logging.Handler):
    """Prints to what is standard error at that moment; a warning under the name of the command."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the message of a record."""
        name = "resnext: " if record.levelno >= logging.WARNING else ""
        try:
            print(f"{name}{record.getMessage()}", file=sys.stderr)
        except Exception:
            self.handleError(record)


class Fallback(LinePrinter):
    """Prints while the program has no other handler, as `logging.lastResort` does."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether no other handler gets the record."""
        others = logger.handlers != [self] or (logger.propagate and logging.getLogger().handlers)
        return not others and bool(super().filter(record))


def print_as_fallback() -> None:
    """Print lines where the program has configured no logging: for a library."""
    if not logger.handlers:
        logger.addHandler(Fallback())
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)


def print_lines() -> None:
    """Print every line, and hand none to other handlers: for the command line."""
    logger.handlers[:] = [LinePrinter()]
    logger.propagate = False


def is_quiet() -> bool:
    """Return whether the program wants to see warnings only."""
    return not logger.isEnabledFor(logging.INFO)
