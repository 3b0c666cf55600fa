"""Checks whether the images of a data set can be read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np

from resnext.data.archive_members import Member
from resnext.data.examples import Examples
from resnext.errors import DataError, ImageError
from resnext.images.decode import check_header, read_image


def check_images(
    examples: Examples, read: Callable[[Path | Member], object] = check_header, hint: str = "Repair or remove them"
) -> None:
    """Read every image file; an array needs no check.

    Args:
        examples: labelled images to read.
        read: function that reads an image: `check_header` only its header, `read_image` the complete file.
        hint: what can be done; "{bad}" stands for the number of these images.

    Raises:
        DataError: some images can't be read; the message gives their number and the reasons of the first three.
    """
    bad = [fault for fault in _faults(examples, read) if fault]
    if bad:
        raise DataError(
            f"{len(bad)} of {len(examples)} images can't be read: {_first(bad)}. {hint.format(bad=len(bad))}"
        )


def drop_unreadable(examples: Examples, limit: float) -> tuple[Examples, list[str]]:
    """Return the examples without the images that can't be read, and the reasons; every image is read completely.

    Args:
        examples: labelled images to read.
        limit: images that may be left out: a number, or a share below 1.

    Raises:
        DataError: more images can't be read, or none of a class is left.
    """
    faults = _faults(examples, read_image)
    bad = [fault for fault in faults if fault]
    most = int(limit if limit >= 1 else limit * len(examples))
    if len(bad) > most:
        raise DataError(
            f"{len(bad)} of {len(examples)} images can't be read, and --skip-bad {limit:g} leaves out at most {most}: "
            f"{_first(bad)}"
        )
    if not bad:
        return examples, bad
    kept = [i for i, fault in enumerate(faults) if not fault]
    lost = sorted({*examples.labels.tolist()} - {*examples.labels[kept].tolist()})
    if lost:
        raise DataError(f"no image of the class {examples.classes[lost[0]]!r} can be read: {_first(bad)}")
    return Examples([examples.images[i] for i in kept], examples.labels[kept], examples.classes), bad


def _faults(examples: Examples, read: Callable[[Path | Member], object]) -> list[str | None]:
    """Return for each image why it can't be read, or None; nothing for an array."""
    if isinstance(examples.images, np.ndarray):
        return []
    with ThreadPool(4) as pool:
        return list(pool.imap(partial(_fault, read), examples.images, chunksize=16))


def _first(bad: Sequence[str]) -> str:
    return "; ".join(bad[:3]) + ("; ..." if len(bad) > 3 else "")


def _fault(read: Callable[[Path | Member], object], file: Path | Member) -> str | None:
    try:
        read(file)
    except ImageError as error:
        return str(error)
    return None
