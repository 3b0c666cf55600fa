"""One training in a run folder at a time: a lock that the kernel holds."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from resnext.ending import at_any_end
from resnext.errors import RunError, RunInUseError
from resnext.runs.run import CONFIG, HELD_OUT, LOCK, METRICS, RECORDS, REPORT, WEIGHTS, list_folder


@contextlib.contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Hold the folder alone; it is made if need be, with its parents, and removed again if nothing was put into it.

    The kernel holds the lock: all that a killed process leaves of it is a file.

    Raises:
        RunInUseError: another process holds it.
        RunError: the folder cannot be written to.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = _open_locked(folder)
    except OSError as error:
        _remove_empty(made)
        raise RunError(
            f"{folder}: can't be written to ({error.strerror}). Allow that, or choose another --out."
        ) from error

    def release() -> None:
        with contextlib.suppress(OSError):
            (folder / LOCK).unlink()
        _remove_empty(made)

    with file, at_any_end(release):
        for path in _half_written(folder):
            path.unlink()
        yield


def owner(folder: Path) -> str | None:
    """Return the number of the process that is training in the folder; None if there is none."""
    try:
        with (folder / LOCK).open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read() or "unknown"
    except OSError:  # nobody has ever locked it, or nobody may
        pass
    return None


def check_idle(folder: Path) -> None:
    """Raise RunInUseError where another process is training in the folder."""
    if number := owner(folder):
        raise _in_use(folder, number)


def _in_use(folder: Path, number: str) -> RunInUseError:
    return RunInUseError(f"{folder}: process {number} is training in it. Wait for it to end, or choose another --out.")


def _open_locked(folder: Path) -> IO[str]:
    while True:
        file = (folder / LOCK).open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            number = file.read() or "unknown"
            file.close()
            raise _in_use(folder, number) from None
        if (folder / LOCK).exists() and os.fstat(file.fileno()).st_ino == (folder / LOCK).stat().st_ino:
            break
        file.close()  # its last owner has just removed it
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):  # refused where there is something in it
            folder.rmdir()


def _half_written(folder: Path) -> list[Path]:
    """Return what a process left that was killed while it wrote a file: see `write_atomically`."""
    names = "|".join(map(re.escape, (CONFIG, HELD_OUT, METRICS, RECORDS, REPORT, *WEIGHTS.values())))
    return [path for path in list_folder(folder) if re.fullmatch(rf"\.({names})\.\d+", path.name)]
