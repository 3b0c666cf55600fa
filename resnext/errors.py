"""Every error of this library, named by what went wrong for the user, with the exit status of the command.

Each class inherits `ResNeXtError` and the standard exception that Python programmers expect. The command line prints
one line for these and for `OSError`; any other exception is a bug in resnext and keeps its traceback. Exit statuses are
those of sysexits.h, which tell schedulers whether to try again.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

LISTED = 10  # names


class ResNeXtError(Exception):
    """Base class of all errors of this library."""

    exit_code = 1


class ArgumentError(ResNeXtError, ValueError):
    """An argument is not allowed; the message states what was received, what is allowed, and what to do."""

    exit_code = 2  # as for what the parser refuses


class NotFoundError(ArgumentError):
    """A path or a name that was passed does not exist."""

    exit_code = 1


class OutputError(ArgumentError):
    """A file or folder can't be made: it exists already, or its own folder can't be written to."""

    exit_code = 73  # EX_CANTCREAT


class DataError(ResNeXtError, ValueError):
    """A data set cannot be used."""


class ImageError(ResNeXtError, ValueError):
    """An image cannot be read; the message is "PATH: reason"."""


class WeightsError(ResNeXtError, ValueError):
    """A weights file cannot be read or does not fit; the message lists every tensor that differs."""


class RunError(ResNeXtError, ValueError):
    """A run folder cannot be used."""


class RunFolderError(RunError):
    """The folder of a new run is in use already, or can't be made."""

    exit_code = 73  # EX_CANTCREAT


class RunInUseError(RunError):
    """Another process is training in the run folder."""

    exit_code = 73  # EX_CANTCREAT


class DamagedCheckpointError(RunError):
    """A run has checkpoints, and none of them can be verified."""

    exit_code = 65  # EX_DATAERR


class TrainingDiverged(ResNeXtError, RuntimeError):
    """The loss or a weight is no longer finite; earlier checkpoints are intact."""


class StalledFileError(ResNeXtError, RuntimeError):
    """A file did not arrive: its file system does not respond."""

    exit_code = 74  # EX_IOERR


class SavingError(ResNeXtError, RuntimeError):
    """A checkpoint could not be written several times in a row."""

    exit_code = 74  # EX_IOERR


class WrongDeviceError(ResNeXtError, RuntimeError):
    """A device computes other values than the CPU."""

    exit_code = 71  # EX_OSERR


class OutOfMemoryError(ResNeXtError, RuntimeError):
    """A training step does not fit into memory."""

    exit_code = 71  # EX_OSERR


class DistributedError(ResNeXtError, RuntimeError):
    """Several processes cannot train together."""


class PeerLostError(ResNeXtError, RuntimeError):
    """Another process of this training has ended."""

    exit_code = 75  # EX_TEMPFAIL: try again


class ExportError(ResNeXtError, RuntimeError):
    """An exported file does not reproduce the network's outputs; it was not kept."""


class RequestError(ResNeXtError, ValueError):
    """A request violates the protocol or exceeds the server's limits."""


class OverloadedError(ResNeXtError, RuntimeError):
    """The server is overloaded; `retry_after` is the number of seconds until there may be room."""

    def __init__(self, retry_after: int):
        super().__init__(f"too many images are waiting; try again in {retry_after} s")
        self.retry_after = retry_after


class DeadlineError(ResNeXtError, RuntimeError):
    """A request could not be answered in time."""


class ClosedError(ResNeXtError, RuntimeError):
    """The network is shutting down and accepts no more work."""


class MissingPackageError(ResNeXtError, ImportError):
    """A function needs a package that is not installed; the message contains the command that installs it."""


class MissingBackendError(MissingPackageError):
    """The backend of Keras is unknown or not installed."""


def missing_package(what: str, package: str, extra: str) -> MissingPackageError:
    """Return the error for a function that needs a package from an extra.

    >>> missing_package("export to onnx", "onnx", "onnx").args[0]
    "export to onnx needs the package onnx: pip install 'resnext[onnx]'"
    """
    return MissingPackageError(f"{what} needs the package {package}: pip install 'resnext[{extra}]'")


def one_line(error: BaseException, limit: int = 200) -> str:
    """Return an exception's reason in one line of at most `limit` characters.

    >>> one_line(ValueError("a\\nb"))
    'a b'
    """
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split())[:limit] or type(error).__name__


def printable(name: object, limit: int | None = None) -> str:
    """Return `str(name)` safe for a terminal: quoted and escaped if it has line breaks or control characters.

    Args:
        name: anything that comes from a user's disk or from a file.
        limit: length to which it is cut; None keeps all of it.
    """
    text = str(name)
    shown = text if text.isprintable() else repr(text)
    return shown if limit is None or len(shown) <= limit else f"{shown[:limit]}..."


def listed(names: Sequence[str]) -> str:
    """Return the first ten names, safe for a terminal, and the number of the others.

    >>> listed(["a"] * 12)
    'a, a, a, a, a, a, a, a, a, a and 2 more'
    """
    rest = f" and {len(names) - LISTED:,} more" if len(names) > LISTED else ""
    return ", ".join(map(printable, names[:LISTED])) + rest


def visible(text: str) -> str:
    r"""Return a text whose control characters are escaped, and those that turn the direction of writing; lines stay.

    >>> visible("a\x1b[2J\nb")
    'a\\x1b[2J\nb'
    """
    return text if text.isascii() and text.isprintable() else text.translate(_INVISIBLE)


# Control characters, those without a width or that separate lines, and those that turn the direction of writing. The
# two that join letters or emoji are not among them.
CONTROLS = {
    code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
    for code in (*range(32), *range(127, 160), 0x061C, 0x200B, 0x200E, 0x200F, *range(0x2028, 0x202F),
                 *range(0x2066, 0x206A), 0xFEFF)
}  # fmt: skip
_INVISIBLE = {code: escaped for code, escaped in CONTROLS.items() if code != ord("\n")}


def counted(number: int, word: str) -> str:
    """Return a number with its noun, in the plural if needed.

    >>> counted(1, "epoch"), counted(1200, "image"), counted(3, "class")
    ('1 epoch', '1,200 images', '3 classes')
    """
    plural = "es" if word.endswith("s") else "s"
    return f"{number:,} {word}{'' if number == 1 else plural}"


def kind_of(value: object) -> str:
    """Return what a value is, with the library that it comes from.

    >>> kind_of({}), kind_of(Sequence)
    ('a dict', "abc's ABCMeta")
    """
    library, name = type(value).__module__.split(".")[0], type(value).__name__
    return f"a {name}" if library == "builtins" else f"{library}'s {name}"


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Return a space and a sentence that suggests the known word closest to a misspelt one; "" if none is close.

    >>> did_you_mean("Trian", ["train", "info"])
    ' Did you mean train?'
    """
    by_lower = {each.lower(): each for each in known}
    nearest = difflib.get_close_matches(word.lower(), by_lower, n=1)
    return f" Did you mean {by_lower[nearest[0]]}?" if nearest else ""
