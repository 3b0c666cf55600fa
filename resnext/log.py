"""Progress and warning messages: records of the logger `resnext`, and how they are printed.

A program that configures logging receives them like all other records. If nothing is configured, they are printed to
standard error, because a training in a terminal or a notebook should not be silent:

>>> import logging
>>> logging.getLogger("resnext").setLevel("WARNING")  # warnings only: no progress, no bar
>>> logging.getLogger("resnext").setLevel("INFO")  # the default
"""

from __future__ import annotations

import logging
import sys

from resnext.errors import visible

logger = logging.getLogger("resnext")


class LinePrinter(logging.Handler):
    """Prints to the current standard error, warnings with the name of the command in front."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the message of a record."""
        name = "resnext: " if record.levelno >= logging.WARNING else ""
        try:
            print(f"{name}{visible(record.getMessage())}", file=sys.stderr)
        except Exception:
            self.handleError(record)


class Fallback(LinePrinter):
    """Prints only while the program has no other handler, like `logging.lastResort`."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether no other handler receives the record."""
        others = logger.handlers != [self] or (logger.propagate and logging.getLogger().handlers)
        return not others and bool(super().filter(record))


def print_as_fallback() -> None:
    """Print records if the program has not configured logging: for use as a library."""
    if not logger.handlers:
        logger.addHandler(Fallback())
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)


def print_lines() -> None:
    """Print every record and pass none to other handlers: for the command line."""
    logger.handlers[:] = [LinePrinter()]
    logger.propagate = False
    logging.getLogger("PIL").addHandler(logging.NullHandler())  # its notes on damaged images name no file
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # its warnings are for programmers


def is_quiet() -> bool:
    """Return whether the program wants to see warnings only."""
    return not logger.isEnabledFor(logging.INFO)
