"""Every error of this library: what went wrong for the user, with the exit status of the command that meets it.

Each kind inherits `ResNeXtError` and the standard class that Python programmers expect in its place. The command line
prints one line for these and for `OSError`; any other exception is a bug in resnext and keeps its traceback. Exit
statuses are those of sysexits.h, by which schedulers tell what may be tried again.
"""

from __future__ import annotations

import difflib


class ResNeXtError(Exception):
    """Parent of all errors here."""

    exit_code = 1


class ArgumentError(ResNeXtError, ValueError):
    """An argument is not allowed; the message gives what was received, what is allowed, and what to do."""


class DataError(ResNeXtError, ValueError):
    """A data set cannot be used."""


class ImageError(ResNeXtError, ValueError):
    """An image cannot be read; the message is "PATH: reason"."""


class WeightsError(ResNeXtError, ValueError):
    """A file of weights cannot be read or does not fit; the message lists every tensor that is at odds."""


class RunError(ResNeXtError, ValueError):
    """A run folder cannot be used."""


class RunInUseError(RunError):
    """Another process is training in the run folder."""

    exit_code = 73  # EX_CANTCREAT


class DamagedCheckpointError(RunError):
    """A run has checkpoints, and none of them can be verified."""

    exit_code = 65  # EX_DATAERR


class TrainingDiverged(ResNeXtError, RuntimeError):
    """The loss or a weight is no longer a number; earlier checkpoints are intact."""


class StalledFileError(ResNeXtError, RuntimeError):
    """A file did not arrive: its file system does not respond."""

    exit_code = 74  # EX_IOERR


class SavingError(ResNeXtError, RuntimeError):
    """A checkpoint could not be written, several times in a row."""

    exit_code = 74  # EX_IOERR


class OutOfMemoryError(ResNeXtError, RuntimeError):
    """A training step does not fit into memory."""

    exit_code = 71  # EX_OSERR


class DistributedError(ResNeXtError, RuntimeError):
    """Several processes cannot train together."""


class PeerLostError(ResNeXtError, RuntimeError):
    """Another process of the same training has ended."""

    exit_code = 75  # EX_TEMPFAIL: to be tried again


class ExportError(ResNeXtError, RuntimeError):
    """An exported file does not compute what the network does; it was not kept."""


class RequestError(ResNeXtError, ValueError):
    """A request to a server says something else than the protocol, or than the server, allows."""


class OverloadedError(ResNeXtError, RuntimeError):
    """A server has too much to do; `retry_after` is the number of seconds until there may be room."""

    def __init__(self, retry_after: int):
        super().__init__(f"too many images are waiting; try again in {retry_after} s")
        self.retry_after = retry_after


class DeadlineError(ResNeXtError, RuntimeError):
    """A request could not be answered in time."""


class ClosedError(ResNeXtError, RuntimeError):
    """A network takes no more work."""


class MissingPackageError(ResNeXtError, ImportError):
    """A function needs a package that is not installed; the message gives the command that installs it."""


class MissingBackendError(MissingPackageError):
    """The backend of Keras is unknown or not installed."""


def missing_package(what: str, package: str, extra: str) -> MissingPackageError:
    """Return the error for a function that needs the package of an extra.

    >>> missing_package("export to onnx", "onnx", "onnx").args[0]
    "export to onnx needs the package onnx: pip install 'resnext[onnx]'"
    """
    return MissingPackageError(f"{what} needs the package {package}: pip install 'resnext[{extra}]'")


def one_line(error: BaseException, limit: int = 200) -> str:
    """Return the reason that any exception gives, in one line of at most `limit` characters.

    >>> one_line(ValueError("a\\nb"))
    'a b'
    """
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split())[:limit] or type(error).__name__


def printable(name: object, limit: int | None = None) -> str:
    """Return `str(name)` fit for a terminal: quoted and escaped if it has line breaks or control characters.

    Args:
        name: anything that comes from a user's disk or file.
        limit: characters after which it is cut; None keeps all of it.
    """
    text = str(name)
    shown = text if text.isprintable() else repr(text)
    return shown if limit is None or len(shown) <= limit else f"{shown[:limit]}..."


def counted(number: int, word: str) -> str:
    """Return a number of things in words.

    >>> counted(1, "epoch"), counted(1200, "image")
    ('1 epoch', '1,200 images')
    """
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def did_you_mean(word: str, known: list[str] | tuple[str, ...]) -> str:
    """Return a sentence with the known word that is most like a misspelt one, after a blank; "" where none is.

    >>> did_you_mean("trian", ["train", "info"])
    ' Did you mean train?'
    """
    nearest = difflib.get_close_matches(word, known, n=1)
    return f" Did you mean {nearest[0]}?" if nearest else ""
