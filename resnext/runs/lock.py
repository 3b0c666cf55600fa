"""A lock held by the system: only one training at a time in a run folder."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from resnext.ending import at_any_end
from resnext.errors import RunFolderError, RunInUseError
from resnext.runs.run import CONFIG, HELD_OUT, IMAGES, LOCK, METRICS, RECORDS, REPORT, WEIGHTS, list_folder

NUMBER = f"{LOCK}.process"  # with the number of the process that holds the lock: a locked file can't be read on Windows


@contextlib.contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Lock the folder. It is created, with its parents, if needed, and removed again if it stays empty.

    The system holds the lock, so a killed process leaves only files.

    Raises:
        RunInUseError: another process holds it.
        RunError: the folder cannot be written to.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    held = FileLock(folder / LOCK, timeout=0, thread_local=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held.acquire()
        (folder / NUMBER).write_text(str(os.getpid()))
    except Timeout:
        raise _in_use(folder, _number(folder)) from None
    except OSError as error:
        held.release()
        _remove_empty(made)
        raise RunFolderError(
            f"{folder}: can't be written to ({error.strerror}). Allow that, or choose another --out."
        ) from error

    def release() -> None:
        with contextlib.suppress(OSError):
            (folder / NUMBER).unlink()
        if os.name != "nt":  # before the lock is released: whoever waits for it sees that its file is gone
            with contextlib.suppress(OSError):
                (folder / LOCK).unlink()
        held.release()
        with contextlib.suppress(OSError):
            (folder / LOCK).unlink()
        _remove_empty(made)

    with at_any_end(release):
        for path in _half_written(folder):
            path.unlink()
        yield


def owner(folder: Path) -> str | None:
    """Return the number of the process training in the folder; None if there is none."""
    if not (folder / LOCK).exists():
        return None
    try:
        with FileLock(folder / LOCK, timeout=0):
            return None
    except Timeout:
        return _number(folder)
    except OSError:  # it cannot be locked, so nobody trains in it
        return None


def check_idle(folder: Path) -> None:
    """Raise RunInUseError if another process is training in the folder."""
    if number := owner(folder):
        raise _in_use(folder, number)


def _number(folder: Path) -> str:
    try:
        return (folder / NUMBER).read_text() or "unknown"
    except OSError:
        return "unknown"


def _in_use(folder: Path, number: str) -> RunInUseError:
    return RunInUseError(f"{folder}: process {number} is training in it. Wait for it to end, or choose another --out.")


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):  # refused if it is not empty
            folder.rmdir()


def _half_written(folder: Path) -> list[Path]:
    """Return files left by a process that was killed while writing: see `write_atomically`."""
    names = "|".join(map(re.escape, (CONFIG, HELD_OUT, IMAGES, METRICS, RECORDS, REPORT, *WEIGHTS.values())))
    return [path for path in list_folder(folder) if re.fullmatch(rf"\.({names})\.\d+", path.name)]
