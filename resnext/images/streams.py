"""Streams of image files that bound what decoding does in Python: how often a decoder reads a part of the file."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable


@runtime_checkable
class Openable(Protocol):
    """A file that is not itself on disk (`resnext.data.archives.Member`); `str()` returns its name."""

    def open(self) -> BinaryIO:
        """Return a stream of the content. Raises ValueError or OSError."""
        ...


class _Bounded:
    """A stream that can be read a number of times.

    Pillow parses headers in Python: a file of 16 MB that consists of parts of a few bytes takes it ten seconds.
    """

    _left: int | None = None

    def bound(self, reads: int | None) -> None:
        """Let the stream be read so often from now on; None: without a bound."""
        self._left = reads

    def read(self, size: int | None = -1, /) -> bytes:
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                raise ValueError("too many parts, which take too long to read; save it again")
        return super().read(size)  # pyright: ignore[reportAttributeAccessIssue]  # of the stream beside this class


class _File(_Bounded, io.BufferedReader):
    @property
    def size(self) -> int:
        """The length in bytes."""
        return os.fstat(self.fileno()).st_size


class _Content(_Bounded, io.BytesIO):
    @property
    def size(self) -> int:
        """The length in bytes."""
        return self.getbuffer().nbytes


BoundedStream = _File | _Content


def open_bounded(source: str | Path | BinaryIO | Openable) -> BoundedStream:
    """Open an image file, a member of an archive, or the content of a stream, which is left open.

    Raises:
        ValueError: the file is empty, or not a regular one.
        OSError: it can't be opened.
    """
    if isinstance(source, str | os.PathLike):
        _check_file(source)
        return _File(io.FileIO(source))
    if isinstance(source, Openable):
        with source.open() as stream:
            return _Content(_all(stream))
    return _Content(_all(source))


def _all(stream: BinaryIO) -> bytes:
    if isinstance(stream, io.BytesIO):
        return stream.getvalue()  # without a copy
    if stream.seekable():
        stream.seek(0)
    return stream.read()


def _check_file(path: str | os.PathLike[str]) -> None:
    # This check comes before opening, because opening a FIFO would wait for a writer forever.
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("not a regular file")
    if status.st_size == 0:
        raise ValueError("empty file")
