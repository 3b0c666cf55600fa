"""Labelled images, and the parts of a data set."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from resnext.data.archive_members import Member


@dataclass(frozen=True, eq=False)
class Examples:
    """Labelled images: files or an array uint8 (N, H, W, 3); `labels`, int32 (N,), index `classes`."""

    images: Sequence[Path | Member] | np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Splits:
    """The three parts of a data set; `validation` and `test` may be the same object."""

    train: Examples
    validation: Examples
    test: Examples
    held_out: tuple[str, ...] = ()  # paths of a randomly drawn test part, relative to the folder of the class folders


def fingerprint(splits: Splits) -> str:
    """Return a digest that identifies the images, wherever they are stored.

    Files count by class and file name, arrays by their bytes.
    """
    digest = hashlib.sha256()
    for part in (splits.train, splits.validation, splits.test):
        if isinstance(part.images, np.ndarray):
            digest.update(np.asarray(part.images).tobytes())
        else:
            names = "\0".join(str(image).rsplit("/", 1)[-1] for image in part.images)
            digest.update(names.encode("utf-8", "surrogateescape"))
        digest.update(part.labels.tobytes() + repr(part.classes).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
