"""Images to classify, one after another: from files, folders, patterns, archives, and a list on a stream."""

from __future__ import annotations

import glob
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from PIL import Image

from resnext.data.archives import ZIP, archive_suffix
from resnext.data.folders import DROPPINGS, DiskFolder, Folder, is_image_name, shown
from resnext.data.layout import LINKS, suffix_of
from resnext.data.tar_archive import tar_members
from resnext.data.zip_archive import zip_members
from resnext.errors import ArgumentError, NotFoundError, one_line
from resnext.files import similar, user_path
from resnext.images.pixels import alike_in_bytes, scaled_to_bytes

STREAM = "-"  # the argument that stands for the list on the stream
CHUNK = 65_536  # bytes of a list read at once
MAX_NAME = 65_536  # bytes of a name in a list

T = TypeVar("T")


class Input(NamedTuple):
    """An image: its name as the user sees it, and its location or the reason why it is unavailable."""

    name: str
    source: Any  # path, member of an archive, or an image in memory; None if it is unavailable
    error: str | None = None


class Inputs(Iterator[Input]):
    """The images named by arguments, in order; folders and archives are read lazily.

    A folder stands for the images at any depth in it, sorted by name; an archive for its images in its own order; a
    pattern such as `photos/**/*.jpg` for its sorted matches, with `**` for files only. A file named directly is treated
    as an image, whatever its suffix.

    Args:
        arguments: paths and patterns; "-" for the list; images in memory.
        stream: list of paths, each on its own line or ended by a zero byte.
        follow_links: whether links may lead out of a folder.

    `left_out` counts the files in folders and archives that are not images, by suffix, as they are met.
    """

    def __init__(
        self,
        arguments: Iterable[Any],
        stream: BufferedReader | BytesIO | None = None,
        follow_links: bool = False,
    ):
        self.left_out: Counter[str] = Counter()
        self._found = _found(arguments, self.left_out, stream, follow_links)

    def __next__(self) -> Input:
        return next(self._found)


def _found(
    arguments: Iterable[Any],
    left_out: Counter[str],
    stream: BufferedReader | BytesIO | None,
    follow_links: bool,
) -> Iterator[Input]:
    for number, argument in enumerate(arguments):
        if not isinstance(argument, str | Path):
            yield Input(f"image {number}", argument)
        elif str(argument) == STREAM:
            for name in _listed(stream):
                yield from _named(name, left_out, follow_links)
        elif _is_pattern(argument):
            matches = sorted(glob.iglob(os.path.expanduser(str(argument)), recursive=True))
            if "**" in str(argument):  # it also matches the contents of the folders
                matches = [name for name in matches if not os.path.isdir(name)]
            if not matches:
                yield Input(str(argument), None, "no file matches this pattern")
            for name in matches:
                yield from _named(name, left_out, follow_links)
        else:
            yield from _named(str(argument), left_out, follow_links)


def arguments_of(images: Any) -> list[Any]:
    """Return what is to be predicted as a list: paths and patterns, or images in memory, one or several."""
    is_one = isinstance(images, str | Path | Image.Image) or (isinstance(images, np.ndarray) and images.ndim < 4)
    if is_one:
        return [images]
    if isinstance(images, np.ndarray) and images.dtype != np.uint8:
        return [*scaled_to_bytes(images)[0]]
    return alike_in_bytes([*images])[0]


def check_inputs(arguments: Sequence[Any]) -> None:
    """Refuse arguments if none of them exists, before anything slow begins. Raises ArgumentError."""
    if not arguments:
        raise ArgumentError("no image was passed. Pass image files, folders, patterns, archives, or - for a list.")
    paths = [each for each in arguments if isinstance(each, str | Path)]
    missing = [str(each) for each in paths if str(each) != STREAM and not _exists(each)]
    if len(missing) == len(arguments):
        more = f", nor do the other {len(missing) - 1}" if len(missing) > 1 else ""
        hint = similar(user_path(missing[0]))
        raise NotFoundError(
            f"{missing[0]}: does not exist{more}.{hint} Pass image files, folders, patterns or archives."
        )


def read_ahead(
    items: Iterable[Input], read: Callable[[Input], T], threads: int, ahead: int
) -> Iterator[tuple[Input, T]]:
    """Yield each item and the result of `read` for it, in order; threads read a limited number of items ahead.

    Args:
        items: items to read, consumed one by one.
        read: function that runs in a thread.
        threads: number of threads.
        ahead: number of items read before they are requested.
    """
    waiting: deque[tuple[Input, Future[T]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                waiting.append((item, pool.submit(read, item)))
                if len(waiting) > ahead:
                    first, result = waiting.popleft()
                    yield first, result.result()
            while waiting:
                first, result = waiting.popleft()
                yield first, result.result()
        finally:
            for _, result in waiting:
                result.cancel()


def _named(name: str, left_out: Counter[str], follow_links: bool) -> Iterator[Input]:
    path = user_path(name)
    try:
        if path.is_dir():
            yield from _below(DiskFolder(path, None if follow_links else path), left_out)
        elif path.is_file() and archive_suffix(path):
            yield from _inside(path, left_out)
        else:
            yield Input(name, path)
    except Exception as error:  # no permission, a damaged archive, ...: the others can still be read
        yield Input(name, None, one_line(error).removeprefix(f"{name}: "))


def _below(folder: Folder, left_out: Counter[str]) -> Iterator[Input]:
    for name, below in shown(folder).items():
        path = f"{folder}/{name}"
        try:
            if below and below.is_link:  # so that the search ends
                left_out[LINKS] += 1
            elif below:
                yield from _below(below, left_out)
            elif is_image_name(name):
                yield Input(path, folder.file(name))  # type: ignore[arg-type]
            else:
                left_out[suffix_of(name)] += 1
        except Exception as error:
            yield Input(path, None, one_line(error).removeprefix(f"{path}: "))


def _inside(archive: Path, left_out: Counter[str]) -> Iterator[Input]:
    suffix = archive_suffix(archive)
    for parts, member in zip_members(archive) if suffix == ZIP else tar_members(archive, suffix or ""):
        if member is None or any(part.lower() in DROPPINGS for part in parts):
            continue
        if is_image_name(parts[-1]):
            yield Input(str(member), member)
        else:
            left_out[suffix_of(parts[-1])] += 1


def _listed(stream: BufferedReader | BytesIO | None) -> Iterator[str]:
    """Yield the paths of a list as they arrive: its lines, or strings ended by zero bytes."""
    if stream is None:
        raise ArgumentError("- stands for a list on standard input, but there is none. Pass paths.")
    rest, end, is_first = b"", b"\n", True
    while chunk := stream.read1(CHUNK):  # the bytes available now: the list may grow while it is read
        if is_first:
            chunk, is_first = _without_mark(chunk), False
        if b"\0" in chunk:
            end = b"\0"
        *names, rest = (rest + chunk).split(end)
        if len(rest) > MAX_NAME:
            raise ArgumentError(f"the list has a line of more than {MAX_NAME:,} bytes. Pass one path on each line.")
        yield from map(os.fsdecode, filter(None, (name.rstrip(b"\r") for name in names)))
    if rest.strip():
        if b"\r" in rest.rstrip(b"\r"):
            raise ArgumentError("the list ends its lines by carriage returns. Save it with line feeds.")
        yield os.fsdecode(rest.rstrip(b"\r"))


def _without_mark(start: bytes) -> bytes:
    """Return the beginning of a list without a byte order mark. Raises ArgumentError for UTF-16, half of it zeros."""
    is_wide = start.startswith((b"\xff\xfe", b"\xfe\xff")) or not any(start[1:8:2]) or not any(start[:8:2])
    if is_wide and len(start) > 3:
        raise ArgumentError("the list is in UTF-16. Save it in UTF-8.")
    return start.removeprefix(b"\xef\xbb\xbf")


def _is_pattern(argument: str | Path) -> bool:
    return glob.has_magic(str(argument)) and not os.path.lexists(user_path(argument))


def _exists(argument: str | Path) -> bool:
    return _is_pattern(argument) or os.path.lexists(user_path(argument))
