"""Labelled images that are passed from Python, not as files: arrays, data sets of other libraries, one's own source."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from resnext.data.chosen_classes import of_classes
from resnext.data.copies import sha256_of_images
from resnext.data.examples import Examples
from resnext.data.holdout import Holdout
from resnext.data.labels.labelled_rows import relabelled, together
from resnext.data.memory_labels import examples_of_labels
from resnext.data.parts import part_of
from resnext.data.pixels import Pixels, are_files
from resnext.data.source import DataSource, Pool, open_data
from resnext.errors import ArgumentError, DataError, ImageError, counted, listed
from resnext.images.pixels import alike_in_bytes, scaled_to_bytes

MEMORY = "images in memory"  # what the data of such a run is called
LABELS = ("label", "labels", "target")  # columns of Hugging Face, in the order of preference
MAX_BYTES = 2_000_000_000  # of images that are read once, from batches
ALLOWED = (
    "pass a path; (images, labels) with arrays, lists of arrays, of Pillow images or of paths; a PyDataset of Keras; a "
    "tf.data.Dataset; a Hugging Face dataset; an object with `classes`, `len()`, `image(i)` and `label(i)`; or a dict "
    "of these by train, val and test"
)


Data = str | Path | Any  # whatever `open_source` opens


@runtime_checkable
class ImageSource(Protocol):
    """Labelled images of one's own: what `train`, `evaluate` and `cross_validate` need to know of them.

    Several threads may ask for images at once.
    """

    classes: Sequence[str]

    def __len__(self) -> int:
        """Return the number of images."""
        ...

    def image(self, index: int) -> Any:
        """Return an image: uint8 (height, width, 3), a Pillow image or a path."""
        ...

    def label(self, index: int) -> Any:
        """Return its class as an index or a name; of several labels, a list of them."""
        ...


@dataclass(frozen=True)
class MemorySource(DataSource):
    """The source of images that are passed from Python.

    Args:
        pool: all images; those to evaluate on apart, if they are known.
        kind: what was passed, in words.
        notes: what was read in which way.
        are_indices: whether the labels are numbers without names, which may index the classes of a network.
    """

    pool: Pool = field(kw_only=True)
    kind: str = ""
    notes: tuple[str, ...] = ()
    are_indices: bool = False

    def __str__(self) -> str:
        return self.kind

    @property
    def title(self) -> str:
        """A short name for run folders."""
        return "memory"

    @property
    def labels_from(self) -> str:
        """Where the labels come from, in words."""
        return self.kind

    @property
    def about_labels(self) -> list[str]:
        """Lines on how images and labels are read."""
        return [*self.notes]

    @property
    def evaluated(self) -> str:
        """The part on which a network is evaluated that was not trained on this data."""
        return next((part for part in ("test", "validation") if part in self.pool.others), "train")

    def origin(self, part: str) -> str:
        """Return where the labels of a part come from, in words."""
        return f"{self.kind}, {part}" if self.pool.others else self.kind

    def _all_images(self, holdout: Holdout = Holdout()) -> Pool:  # noqa: B008 - frozen
        return self.pool

    def _check_pool(self, pool: Pool, holdout: Holdout) -> None:
        if holdout.group_by:
            raise ArgumentError("`group_by` finds groups in paths, and these images have none. Leave it out.")
        if len(pool.train.classes) < 2:
            raise DataError(f"{self} has only one class; training needs two or more")

    def column(self, name: str, examples: Examples) -> list[str]:
        """Refuse, because there is no table. Raises DataError."""
        raise DataError(f"--by needs a table with the column {name}, but {self} has none")

    def everything(self, classes: Sequence[str]) -> Examples:
        """Return the images of all parts, labelled by `classes`."""
        parts = [self._named(part, classes) for part in (self.pool.train, *self.pool.others.values())]
        if len(parts) > 1 and any(isinstance(part.images, Pixels | np.ndarray) for part in parts):
            raise DataError(f"all parts of {self} can't be evaluated together; pass them as one, without a dict")
        return together(parts) if len(parts) > 1 else parts[0]

    def examples_of_chosen(self, classes: Sequence[str]) -> tuple[Examples, int]:
        """Return the images of some classes to evaluate on, and the number of images of others."""
        test = self.pool.others.get(self.evaluated, self.pool.train)
        examples, kept = of_classes(test, classes, self)
        return examples, len(test) - len(kept)

    def examples(self, classes: Sequence[str]) -> Examples:
        """Return the images to evaluate on, labelled by `classes`. Raises DataError if one of theirs is unknown."""
        return self._named(self.pool.others.get(self.evaluated, self.pool.train), classes)

    def held_out(self, paths: Sequence[str], classes: Sequence[str]) -> tuple[Examples, list[str]] | None:
        """Return the images that an earlier `splits` drew, and the names of those that are missing."""
        if self.pool.others:
            return None
        places = {path: place for place, path in enumerate(self.pool.paths)}
        missing = [path for path in paths if path not in places]
        kept = [places[path] for path in paths if path in places]
        return self._named(self.pool.train.take(kept), classes), missing

    def _named(self, examples: Examples, classes: Sequence[str]) -> Examples:
        """Return examples labelled by the classes of a network; numbers without names may be indices of them."""
        is_index = self.are_indices and not {*examples.classes} <= {*classes}
        if is_index and len(examples.classes) <= len(classes) and examples.classes[-1].isdecimal():
            highest = int(examples.classes[-1])
            if highest < len(classes):
                names = tuple(classes[int(name)] for name in examples.classes)
                examples = dataclasses.replace(examples, classes=names)
        return relabelled(examples, classes, self)


def open_source(data: Any, follow_links: bool = False) -> DataSource:
    """Open labelled images: files by a path, as `open_data` does, or images that are passed from Python.

    Raises:
        ArgumentError: the data is of another kind.
        DataError: it has no labels, or others than a network can learn.
    """
    if isinstance(data, str | Path):
        return open_data(data, follow_links)
    parts = _parts(data) if isinstance(data, Mapping) else {"train": data}
    read = {part: _read(each) for part, each in parts.items()}
    train = read["train"]
    others = {part: relabelled(each.examples, train.examples.classes, f"the part {part}") for part, each in read.items()
              if part != "train"}  # fmt: skip
    notes = tuple(dict.fromkeys(note for each in read.values() for note in each.notes))
    pool = Pool(train.examples, _names_of(train.examples), None, others)
    return MemorySource(MEMORY, pool=pool, kind=train.kind, notes=notes, are_indices=train.are_indices)


def _names_of(examples: Examples) -> list[str]:
    """Return a name for each image, by which those that were held out are found again: by content, if it is known."""
    if are_files(examples.images):
        return [str(image) for image in examples.images]
    if hashes := _hashes(examples.images):
        counts: Counter[str] = Counter()  # copies are told apart by their number
        names = []
        for value in hashes:
            names.append(f"{value[:32]}-{counts[value]}" if counts[value] else value[:32])
            counts[value] += 1
        return names
    digest = hashlib.sha256(examples.targets().tobytes()).hexdigest()[:16]  # the images are not decoded for it
    return [f"{i:09}-of-{len(examples)}-{digest}" for i in range(len(examples))]


def _hashes(images: Any) -> list[str]:
    """Return the SHA-256 of the images that can be read; the others are reported when all are checked."""
    try:
        return sha256_of_images(images)
    except DataError:
        if not isinstance(images, Pixels):
            raise
    found = []
    for index in range(len(images)):
        try:
            found.append(images.sha256(index))
        except ImageError:
            found.append(f"unreadable {index}")
    return found


def _parts(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is passed for each part by its name. Raises ArgumentError for another name, or without train."""
    named = {part_of(str(name)): value for name, value in data.items()}
    if None in named or "train" not in named or len(named) < len(data):
        raise ArgumentError(
            f"a dict of images must have train and may have val and test. Received: {listed([*map(str, data)])}"
        )
    return {str(part): value for part, value in named.items()}


@dataclass(frozen=True)
class _Read:
    """Images that were passed, and what they were."""

    examples: Examples
    kind: str
    notes: tuple[str, ...] = ()
    are_indices: bool = False


def _read(data: Any) -> _Read:
    """Read what was passed for a part."""
    kind: type = type(data)
    kinds, module = {base.__name__ for base in kind.__mro__}, kind.__module__.split(".")[0]
    if kind is tuple and len(data) in (2, 3):
        return _of_pair(*data)
    if module == "datasets" and "Dataset" in kinds:
        return _of_hugging_face(data)
    if "PyDataset" in kinds:
        return _of_batches((data[i] for i in range(len(data))), "a keras.utils.PyDataset", None)
    if module == "tensorflow" and hasattr(data, "as_numpy_iterator"):
        return _of_batches(data.as_numpy_iterator(), "a tf.data.Dataset", getattr(data, "class_names", None))
    if isinstance(data, ImageSource):
        labels = [data.label(i) for i in range(len(data))]
        return _lazy(data.image, labels, tuple(data.classes), f"{counted(len(data), 'image')} of {kind.__name__}")
    if hasattr(data, "classes") and hasattr(data, "targets") and hasattr(data, "__getitem__"):  # as torchvision has it
        return _lazy(lambda i: data[i][0], [*data.targets], tuple(data.classes), f"{kind.__name__} of {module}")
    raise ArgumentError(f"images to train or evaluate on can't be a {kind.__name__}: {ALLOWED}.")


def _of_pair(images: Any, labels: Any, weights: Any = None) -> _Read:
    """Read images and labels, and weights as Keras takes them."""
    if len(images) != len(labels):
        raise DataError(f"there are {len(images):,} images and {len(labels):,} labels; pass one for each image")
    notes: tuple[str, ...] = ()
    if isinstance(images, np.ndarray):
        images, notes = scaled_to_bytes(images)
        found, kind = images, f"{len(images):,} images of an array"
    elif all(isinstance(image, str | Path) for image in images):
        found, kind = [Path(image) for image in images], counted(len(images), "path")
    else:
        kept, notes = alike_in_bytes(images)
        found, kind = Pixels(kept.__getitem__, np.arange(len(kept))), counted(len(kept), "image")
    return _labelled(found, labels, None, kind, weights, notes)


def _of_batches(batches: Any, kind: str, classes: Sequence[str] | None) -> _Read:
    """Read a data set of batches once. Raises DataError if it does not fit, or has no labels."""
    images, labels, weights, size = [], [], [], 0
    for batch in batches:
        if not isinstance(batch, tuple) or len(batch) not in (2, 3):
            raise DataError(
                f"{kind} must yield (images, labels), or these and weights; it yields {type(batch).__name__}"
            )
        values = [np.asarray(each) for each in batch]
        values = values if values[0].ndim == 4 else [each[None] for each in values]
        size += values[0].nbytes
        if size > MAX_BYTES:
            raise DataError(
                f"{kind} has more than {MAX_BYTES / 1e9:g} GB of images, which are read into memory once. Pass a "
                "folder, or an object with `classes`, `len()`, `image(i)` and `label(i)`; if it repeats endlessly, "
                "leave that out"
            )
        for kept, each in zip((images, labels, weights), values, strict=False):
            kept.append(each)
    if not images:
        raise DataError(f"{kind} yields no batch")
    shapes = {each.shape[1:] for each in images}
    if len(shapes) > 1:
        raise DataError(f"{kind} has images of {len(shapes)} shapes; batches must have one")
    array, notes = scaled_to_bytes(np.concatenate(images))
    known = None if classes is None else tuple(classes)
    return _labelled(array, np.concatenate(labels), known, kind, np.concatenate(weights) if weights else None, notes)


def _of_hugging_face(data: Any) -> _Read:
    """Read a data set of Hugging Face: its column of images, and one called label, labels, ... or of class labels."""
    features = data.features
    kinds = {name: type(feature).__name__ for name, feature in features.items()}
    images = [name for name, kind in kinds.items() if kind == "Image"] or [
        name for name in ("image", "img") if name in kinds
    ]
    inner = {name: getattr(feature, "feature", feature) for name, feature in features.items()}
    labels = [name for name in kinds if type(inner[name]).__name__ == "ClassLabel"]
    named = [name for name in ("label", "labels", "target") if name in kinds and (not labels or name in labels)]
    labels = named[:1] or labels
    if len(images) != 1 or len(labels) != 1:
        raise DataError(
            f"a Hugging Face dataset must have one column of images and one of labels; this one has "
            f"{listed([*kinds])}. Select the columns, and rename that of the labels to label"
        )
    names = getattr(inner[labels[0]], "names", None)
    column = images[0]
    kind = f"{len(data):,} images of a Hugging Face dataset, columns {column} and {labels[0]}"
    return _lazy(lambda i: data[i][column], [*data[labels[0]]], None if names is None else tuple(names), kind)


def _lazy(read: Callable[[int], Any], labels: Sequence[Any], classes: tuple[str, ...] | None, kind: str) -> _Read:
    return _labelled(Pixels(read, np.arange(len(labels))), labels, classes, kind)


def _labelled(
    images: Any, labels: Any, classes: Sequence[str] | None, kind: str, weights: Any = None, notes: tuple[str, ...] = ()
) -> _Read:
    if not len(images):
        raise DataError(f"{kind}: there are no images")
    examples = examples_of_labels(images, labels, classes)
    if weights is not None:
        values = np.asarray(weights, np.float32).reshape(-1)
        if len(values) != len(examples) or not np.isfinite(values).all() or values.min() < 0:
            raise DataError(f"the weights must be {len(examples):,} numbers from 0, one for each image")
        examples = dataclasses.replace(examples, weights=values)
    if examples.several:
        notes = (*notes, "labels: several for an image")
    are_indices = classes is None and all(name.isdecimal() for name in examples.classes)
    return _Read(examples, kind, notes, are_indices)
