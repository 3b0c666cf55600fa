"""Write files that are complete or absent, even after a power failure."""

import contextlib
import glob
import os
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from resnext.ending import at_any_end


def user_path(path: str | os.PathLike[str]) -> Path:
    """Return a user's path with `~` expanded, which a shell does not do after `--out=`."""
    return Path(path).expanduser()


def write_atomically(path: Path, content: bytes) -> None:
    """Write the file so that a reader sees either the old or the new content, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write_durably(temporary, content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_durably(path: Path, content: bytes) -> None:
    """Write the file and return once it is on the disk."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Return once the names in the folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def temporary_folder(beside: Path) -> Iterator[Path]:
    """Make a folder beside a path for its replacement, and remove it at the end, however the block ends.

    Leftovers of a killed process for the same path are removed, too.
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
    except OSError:  # owned by another user
        return True
    return True
