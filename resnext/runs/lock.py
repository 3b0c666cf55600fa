"""A lock held by the kernel: only one training at a time in a run folder."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from resnext.ending import at_any_end
from resnext.errors import RunFolderError, RunInUseError
from resnext.runs.run import CONFIG, HELD_OUT, IMAGES, LOCK, METRICS, RECORDS, REPORT, WEIGHTS, list_folder


@contextlib.contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Lock the folder. It is created, with its parents, if needed, and removed again if it stays empty.

    The kernel holds the lock, so a killed process leaves only a file.

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
        raise RunFolderError(
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
    """Return the number of the process training in the folder; None if there is none."""
    try:
        with (folder / LOCK).open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read() or "unknown"
    except OSError:  # it was never locked, or cannot be
        pass
    return None


def check_idle(folder: Path) -> None:
    """Raise RunInUseError if another process is training in the folder."""
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
        with contextlib.suppress(OSError):  # refused if it is not empty
            folder.rmdir()


def _half_written(folder: Path) -> list[Path]:
    """Return files left by a process that was killed while writing: see `write_atomically`."""
    names = "|".join(map(re.escape, (CONFIG, HELD_OUT, IMAGES, METRICS, RECORDS, REPORT, *WEIGHTS.values())))
    return [path for path in list_folder(folder) if re.fullmatch(rf"\.({names})\.\d+", path.name)]
