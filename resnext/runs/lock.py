"""One training in a run folder at a time: a lock that the kernel holds."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from resnext.errors import RunError, RunInUseError
from resnext.runs.run import LOCK, half_written


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Alone in the folder, which is made if need be, and taken away again if nothing was put into it.

    The kernel holds the lock: of a process that was killed nothing is left of it but a file.

    Raises:
        RunInUseError: another process has it.
        RunError: the folder can't be written to.
    """
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = _lock(folder)
    except OSError as error:
        raise RunError(f"{folder}: can't be written to ({error.strerror}). Choose another --out.") from error
    with file:
        for path in half_written(folder):
            path.unlink()
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                (folder / LOCK).unlink()
                if made:
                    folder.rmdir()  # refused where there is something in it


def _lock(folder: Path) -> IO[str]:
    while True:
        file = (folder / LOCK).open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            number = file.read() or "another process"
            file.close()
            raise RunInUseError(
                f"{folder}: process {number} trains in it. Wait for it, or choose another --out."
            ) from None
        if (folder / LOCK).exists() and os.fstat(file.fileno()).st_ino == (folder / LOCK).stat().st_ino:
            break
        file.close()  # its last owner has just removed it
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file
