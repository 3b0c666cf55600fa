"""Write files that are complete or absent, even after a power failure."""

import contextlib
import difflib
import errno
import glob
import itertools
import json
import os
import re
import shutil
import stat
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from resnext.ending import at_any_end
from resnext.errors import CONTROLS, ArgumentError, did_you_mean, printable

BESIDE = 10_000  # files of a folder among which a misspelt name is looked for
_JSON_ESCAPES = {code: f"\\u{code:04x}" for code in CONTROLS if code > 126}  # JSON itself escapes those below


def user_path(path: str | os.PathLike[str]) -> Path:
    """Return a user's path with `~` expanded, which a shell does not do after `--out=`.

    Raises:
        ArgumentError: the path is empty, which would be the current folder.
    """
    if path == "":
        raise ArgumentError("a path is empty. Pass the name of a file or a folder; the current folder is .")
    return Path(path).expanduser()


def numbered(path: Path) -> Path:
    """Return PATH-N, with the lowest N for which it does not exist yet."""
    return next(free for n in itertools.count(1) if not (free := path.with_name(f"{path.name}-{n}")).exists())


def similar(path: Path, known: Iterable[str] = ()) -> str:
    """Return a space and a sentence that suggests what is beside a misspelt path, or a known word; "" if none is close.

    >>> similar(Path("no-such-folder/cifar-10"), ["cifar10", "digits"])
    ' Did you mean cifar10?'
    >>> similar(Path("https://example.org/photos.zip"))
    ' Download what is at this address, and pass its path.'
    """
    if re.match(r"\w{2,}:/", str(path)):  # on Windows, one letter and a colon are a drive
        return " Download what is at this address, and pass its path."
    with contextlib.suppress(OSError):
        beside = [each.name for each in itertools.islice(path.parent.iterdir(), BESIDE)]
        if nearest := difflib.get_close_matches(path.name, beside, n=1):
            return f" Did you mean {printable(path.with_name(nearest[0]))}?"
    return did_you_mean(path.name, [*known])


def read_regular(path: Path, most: int) -> bytes:
    """Return the content of a file; a pipe or a device, which might never end, is none.

    Args:
        path: its path.
        most: most bytes that it may have.

    Raises:
        OSError: it can't be read, is not a regular file, or has more bytes.
    """
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)  # a pipe would wait for a writer
    descriptor = os.open(path, flags)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        if status.st_size > most:
            raise OSError(errno.EFBIG, f"{status.st_size:,} bytes; at most {most:,} are read", str(path))
        with open(descriptor, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(descriptor)


def to_json(document: Any, indent: int) -> str:
    """Return JSON for people, too: readable, but without characters that do something to a terminal."""
    return json.dumps(document, indent=indent, ensure_ascii=False).translate(_JSON_ESCAPES)


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
    """Return once the names in the folder are on the disk; Windows can't open folders, and writes them itself."""
    if os.name == "nt":
        return
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
    if os.name == "nt":  # where os.kill ends a process
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # owned by another user
        return True
    return True
