"""Errors, and what stands in them."""

from __future__ import annotations

import sys


def printable(name: object) -> str:
    """`str(name)`, in quotes and escaped if it has line breaks or bytes that a terminal can't show."""
    text = str(name)
    return text if text.isprintable() else repr(text)


def warn(line: str) -> None:
    """Print a line of resnext's to standard error."""
    print(f"resnext: {line}", file=sys.stderr)


class WeightsError(ValueError):
    """A weights file that can't be read or does not fit; the message lists every tensor that is at odds."""


class DataError(ValueError):
    """Data that can't be used; one line: what was found, what is allowed, what to do."""


class RunError(ValueError):
    """A run folder that can't be used; one line: what it is, what is allowed, what to do."""


class MissingPackageError(ImportError):
    """A function needs a package of an extra; the message says which and how to install it."""
