"""Writing of files that are complete or absent, even after a power failure."""

import os
from pathlib import Path


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
