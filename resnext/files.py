"""Writing of files that are complete or absent, even after a power failure."""

import contextlib
import glob
import os
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from resnext.ending import at_any_end


def user_path(path: str | os.PathLike[str]) -> Path:
    """Return a path from a user; a shell does not expand `~` after `--out=`, so it is done here."""
    return Path(path).expanduser()


def write_atomically(path: Path, content: bytes) -> None:
    """Write the file so that a reader sees the old content or the new one, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write_durably(temporary, content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_durably(path: Path, content: bytes) -> None:
    """Write the file and return when it is on the disk."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Return when the names in the folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def temporary_folder(beside: Path) -> Iterator[Path]:
    """Make a folder beside a path for what will replace it; it is removed at the end, whatever ends the block.

    What a process that was killed has left for the same path is removed, too.
    """
    for left in beside.parent.glob(f".{glob.escape(beside.name)}.*"):
        if left.suffix[1:].isdigit() and left.is_dir() and not _is_running(int(left.suffix[1:])):
            shutil.rmtree(left, ignore_errors=True)
    folder = beside.with_name(f".{beside.name}.{os.getpid()}")
    folder.mkdir()
    with at_any_end(partial(shutil.rmtree, folder, ignore_errors=True)):
        yield folder


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # of another user
        return True
    return True
