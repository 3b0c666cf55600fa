"""Checks of images before use: whether they can be read, and a report on a complete data set."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from resnext.data.batches import reading_threads
from resnext.data.class_folders import alike
from resnext.data.examples import Examples
from resnext.data.folders import Member
from resnext.data.memory import Data, open_source
from resnext.data.pixels import are_files
from resnext.data.splits import Splits
from resnext.errors import ArgumentError, DataError, ImageError, counted
from resnext.images.bands import check_bands, with_channels
from resnext.images.decode import check_header, read_image, read_with_format
from resnext.images.pixels import read_pixels
from resnext.images.preprocessing import Channels
from resnext.metrics.notebook import html_table

logger = logging.getLogger(__name__)

Size = tuple[int, int]  # width and height, pixels
Check = Callable[[Path | Member], None]  # reads the header of an image file
Read = Callable[[Path | Member], np.ndarray]
Pair = tuple[str, str]  # the names of two images


def check_images(examples: Examples, read: Check | Read = check_header, hint: str = "Repair or remove them") -> None:
    """Read every image that is not in an array.

    Args:
        examples: labelled images to read.
        read: function that reads an image: `check_header` only its header, `read_image` the complete file.
        hint: advice for the user; "{bad}" stands for the number of these images.

    Raises:
        DataError: some images can't be read; the message gives their number and the reasons of the first three.
    """
    bad = [fault for fault in _faults(examples, read) if fault]
    if len(bad) == len(examples):
        hint = "Pass images that can be read"
    if bad:
        raise DataError(
            f"{len(bad)} of {len(examples)} images can't be read: {_first(bad)}. {hint.format(bad=len(bad))}"
        )


def check_channels(examples: Examples, channels: Channels) -> None:
    """Check that arrays have the channels of a network, by the first image. Raises DataError."""
    images = examples.images
    if len(examples) and not are_files(images):
        try:
            with_channels(np.asarray(images[0]), channels)
        except ArgumentError as error:
            raise DataError(str(error)) from None


def readers(channels: Channels) -> tuple[Check, Read]:
    """Return functions that read the header of an image file, and the complete file, for networks of such channels."""
    read = partial(read_pixels, channels=channels)
    if isinstance(channels, int):
        return partial(check_bands, count=channels), read
    return check_header, read


def drop_unreadable(examples: Examples, limit: float, read: Read = read_image) -> tuple[Examples, list[str]]:
    """Return the examples without the images that can't be read, and the reasons; every image is read completely.

    Args:
        examples: labelled images to read.
        limit: images that may be left out: a number, or a share below 1.
        read: function that reads a complete image.

    Raises:
        DataError: more images can't be read, or none of a class is left.
    """
    faults = _faults(examples, read)
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
    lost = np.flatnonzero((examples.counts() > 0) & (examples.take(kept).counts() == 0))
    if len(lost):
        raise DataError(f"no image of the class {examples.classes[lost[0]]!r} can be read: {_first(bad)}")
    return examples.take(kept), bad


def _faults(examples: Examples, read: Check | Read) -> list[str | None]:
    """Return for each image the reason why it can't be read, or None; an empty list for an array."""
    images = examples.images
    if isinstance(images, np.ndarray):
        return []
    with ThreadPool(reading_threads()) as pool:
        if not are_files(images):
            return list(pool.imap(partial(_fault, images.__getitem__), range(len(images)), chunksize=16))
        return list(pool.imap(partial(_fault, read), images, chunksize=16))


def _first(bad: Sequence[str]) -> str:
    return "; ".join(bad[:3]) + ("; ..." if len(bad) > 3 else "")


def _fault(read: Callable[[Any], object], file: Any) -> str | None:
    try:
        read(file)
    except ImageError as error:
        return str(error)
    return None


@dataclass(frozen=True)
class PartReport:
    """One part of a data set; an image that can't be read counts only in `images`."""

    name: str  # "train", "validation", "test", or "validation and test"
    images: int
    counts: dict[str, int]  # images of each class
    formats: dict[str, int]  # images of each format: "JPEG", ...; "array" for images that are not files
    sizes: tuple[Size, ...]  # sizes of the smallest, the median and the largest image by area


@dataclass(frozen=True)
class DataReport:
    """The result of `check_data`; images are named by their paths."""

    parts: tuple[PartReport, ...]
    in_train_too: tuple[Pair, ...]  # an image of another part, and the first in train with the same pixels
    contradictions: tuple[Pair, ...]  # two images of one part with the same pixels and different classes
    bad: tuple[str, ...]  # "PATH: reason" of each image that can't be read
    left_out: tuple[str, ...] = ()  # unused files, by kind
    labels_from: str = ""  # where the labels come from, in words

    def __repr__(self) -> str:
        parts = ", ".join(f"{part.name} {part.images:,}" for part in self.parts)
        contradictions = counted(len(self.contradictions), "contradiction")
        faults = f"{len(self.bad):,} can't be read, {len(self.in_train_too):,} in train too, {contradictions}"
        return f"DataReport({counted(self.images, 'image')}: {parts}; {faults})"

    def _repr_html_(self) -> str:
        names = list(dict.fromkeys(name for part in self.parts for name in part.counts))
        rows = [(name, *(f"{part.counts.get(name, 0):,}" for part in self.parts)) for name in names]
        return html_table(rows, ("class", *(part.name for part in self.parts)))

    @property
    def images(self) -> int:
        """The number of images, including those that can't be read."""
        return sum(part.images for part in self.parts)


def check_data(
    data: Data, *, follow_links: bool = False, done: Callable[[int, int], None] = lambda images, total: None
) -> DataReport:
    """Read every image of a data set once, completely.

    Two images are the same if their decoded pixels are, even under another name or in another lossless format. Only a
    digest of 20 bytes is kept of each image.

    Args:
        data: as for `train`.
        follow_links: as for `train`.
        done: called with the number of images read and the total.

    Returns:
        A DataReport, which also lists the images that can't be read.

    Raises:
        DataError: `train` would refuse the data; images that can't be read do not raise.

    >>> check_data("sign-digits").in_train_too  # doctest: +SKIP
    ()
    """
    train, parts, read = None, [], 0
    source = open_source(data, follow_links)
    examples_of = _named_parts(source.splits())
    total = sum(map(len, examples_of.values()))
    for name, examples in examples_of.items():
        part = _Part(name, examples, train)
        for i, seen in enumerate(_looks(examples)):
            part.add(i, seen)
            read += 1
            done(read, total)
        logger.info(f"{name}: {len(examples):,} images read")
        train = train or part
        parts.append(part)
    return DataReport(
        tuple(part.report() for part in parts),
        tuple(pair for part in parts for pair in part.in_train_too),
        tuple(pair for part in parts for pair in part.contradictions),
        tuple(fault for part in parts for fault in part.bad),
        (*source.left_out(), *alike(train.examples.classes if train else ())),
        source.labels_from,
    )


class _Look(NamedTuple):
    """The facts kept about an image."""

    digest: bytes
    size: Size
    format: str


class _Part:
    """The facts about one part of a data set, collected image by image."""

    def __init__(self, name: str, examples: Examples, train: _Part | None):
        self.name, self.examples, self.train = name, examples, train
        self.first: dict[bytes, int] = {}  # the first image with this digest
        self.counts, self.formats, self.sizes = Counter(), Counter(), Counter()
        self.bad: list[str] = []
        self.in_train_too: list[Pair] = []
        self.contradictions: list[Pair] = []

    def add(self, i: int, seen: _Look | str) -> None:
        if isinstance(seen, str):
            self.bad.append(seen)
            return
        examples = self.examples
        self.counts.update(np.flatnonzero(examples.has([i])[0]).tolist())
        self.formats[seen.format] += 1
        self.sizes[seen.size] += 1
        first = self.first.setdefault(seen.digest, i)
        if first != i and not np.array_equal(*examples.targets([first, i])):
            self.contradictions.append((self.image(first), self.image(i)))
        if self.train and seen.digest in self.train.first:
            self.in_train_too.append((self.image(i), self.train.image(self.train.first[seen.digest])))

    def image(self, i: int) -> str:
        images = self.examples.images
        return str(images[i]) if are_files(images) else f"{self.name}[{i}]"

    def report(self) -> PartReport:
        counts = {name: self.counts[label] for label, name in enumerate(self.examples.classes)}
        return PartReport(self.name, len(self.examples), counts, dict(self.formats.most_common()), _three(self.sizes))


def _named_parts(splits: Splits) -> dict[str, Examples]:
    if splits.validation is splits.test:
        return {"train": splits.train, "validation and test": splits.test}
    return {"train": splits.train, "validation": splits.validation, "test": splits.test}


def _looks(examples: Examples) -> Iterator[_Look | str]:
    """Yield a _Look for each image, in order, or the reason why it can't be read; threads decode the images."""
    with ThreadPool(reading_threads()) as pool:
        yield from pool.imap(_look, examples.images, chunksize=16)


def _look(image) -> _Look | str:
    """Return the facts about one file or array, or the reason why it can't be read."""
    try:
        pixels, kind = (image, "array") if isinstance(image, np.ndarray) else read_with_format(image)
    except ImageError as error:
        return str(error)
    height, width, _ = pixels.shape
    digest = hashlib.sha1(f"{width}x{height}:".encode(), usedforsecurity=False)
    digest.update(np.ascontiguousarray(pixels).data)
    return _Look(digest.digest(), (width, height), kind)


def _three(sizes: Counter[Size]) -> tuple[Size, ...]:
    """Return the smallest, the median and the largest size."""
    if not sizes:
        return ()
    ordered = sorted(sizes, key=lambda size: (size[0] * size[1], size))
    up_to = np.cumsum([sizes[size] for size in ordered])
    return ordered[0], ordered[int(np.searchsorted(up_to, up_to[-1] // 2, side="right"))], ordered[-1]
