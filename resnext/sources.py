"""Where labelled images come from.

A data argument is the word `digits` (1,797 handwritten digits, 8x8, from scikit-learn) or a folder:

    DATA/train/<class>/**   beside DATA/test/ or DATA/val/ or both, or alone
    DATA/<class>/**         one sixth of each class is kept for testing

Hidden files and files without an image suffix are ignored.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from multiprocessing.pool import ThreadPool
from pathlib import Path
from unicodedata import normalize

import numpy as np

from resnext.preprocessing import IMAGE_SUFFIXES, ImageError, check_header, printable

TEST_SHARE = 6  # one image in six, as CIFAR-10 keeps 10,000 of 60,000
PARTS = {"train": "train", "test": "test"} | dict.fromkeys(("val", "valid", "validation"), "validation")
SUFFIXES = " ".join(sorted(IMAGE_SUFFIXES))
LAYOUTS = f"DATA/<class>/*, or DATA/train/<class>/* with DATA/test/ or DATA/val/; images end in {SUFFIXES}"


class DataError(ValueError):
    """Data that can't be used; one line: what was found, what is allowed, what to do."""


@dataclass(frozen=True, eq=False)
class Examples:
    """Labelled images: paths or an array uint8 (N, H, W, 3); `labels`, int32 (N,), index `classes`."""

    images: Sequence[Path] | np.ndarray
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
    held_out: tuple[str, ...] = ()  # of a drawn test part, the paths below the folder of the class folders


def source_name(data: str | Path) -> str:
    """One name for a data argument from wherever it is given: the word, or the folder's absolute path."""
    return "digits" if data == "digits" else str(Path(data).resolve())


def load_splits(data: str | Path, seed: int = 0) -> Splits:
    """The parts to train, validate and test on. Classes are the sorted names of the training folders.

    Where only one of `test/` and `val/` exists it serves as both; where neither does, one sixth of every
    class is drawn for them, by `seed` and the sorted file names alone.

    Args:
        data: the word "digits", or a folder (one really called digits: "./digits").
        seed: of the drawn split, 0 or more.

    Raises:
        DataError: data that can't be used, with the layouts that can.
    """
    if data == "digits":
        return _digits()
    root = _folder(data)
    parts = _parts(root)
    if parts and "train" not in parts:
        raise DataError(f"{printable(root)} has {', '.join(parts)} but no train; training needs {LAYOUTS}")
    folder = parts.get("train", root)
    images = _images_by_class(folder, root)
    if len(images) < 2:
        raise DataError(f"{printable(root)} has one class only, {min(images)!r}; training needs two or more")
    held_out = [parts[name] for name in ("validation", "test") if name in parts]
    if not held_out:
        return _drawn_splits(images, seed, folder)
    train = _examples(images, tuple(images), root)
    judged = [_examples(_images_by_class(part, root), train.classes, part) for part in held_out]
    return Splits(train, judged[0], judged[-1])


def load_examples(data: str | Path, classes: Sequence[str]) -> Examples:
    """The examples to judge a trained network on, labelled by its own `classes`, not by the folders' order.

    They are the folder's `test/` if it has one, else its `val/`, else its class folders; of "digits" the test
    part. Names match in any Unicode normal form.

    Raises:
        DataError: no images, or a class that is not in `classes`.
    """
    if data == "digits":
        test = _digits().test
        labels = _labels(test.classes, classes, "digits")[test.labels]
        return Examples(test.images, labels, tuple(classes))
    root = _folder(data)
    parts = _parts(root)
    if set(parts) == {"train"}:
        train = printable(parts["train"])
        raise DataError(f"{printable(root)} has train but neither test nor val; to judge on it give {train}")
    part = parts.get("test") or parts.get("validation") or root
    return _examples(_images_by_class(part, root), classes, part)


def load_held_out(data: str | Path, held_out: Sequence[str], classes: Sequence[str]) -> Examples | None:
    """The images of a folder that an earlier `load_splits` drew for testing, whether they are still there or not.

    None where the folder has images for testing now.
    """
    root = _folder(data)
    parts = _parts(root)
    if parts.keys() - {"train"}:
        return None
    folder = parts.get("train", root)
    labels = _labels([path.split("/")[0] for path in held_out], classes, root)
    return Examples([folder / path for path in held_out], labels, tuple(classes))


def check_images(examples: Examples, read: Callable[[Path], object] = check_header) -> None:
    """Read every image file; nothing to do for an array.

    Args:
        examples: whose images.
        read: `check_header` reads the headers alone, `read_image` the whole files.

    Raises:
        DataError: how many can't be read, and the first three with their reasons.
    """
    if isinstance(examples.images, np.ndarray):
        return
    with ThreadPool(4) as pool:
        bad = [fault for fault in pool.imap(partial(_fault, read), examples.images, chunksize=16) if fault]
    if bad:
        first = "; ".join(bad[:3]) + ("; ..." if len(bad) > 3 else "")
        raise DataError(f"{len(bad)} of {len(examples)} images can't be read: {first}")


def _digits() -> Splits:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        needs = "the built-in digits need the package scikit-learn: pip install 'resnext[datasets]'"
        raise DataError(needs) from error
    grey, labels = load_digits(return_X_y=True)
    images = np.rint(grey.reshape(-1, 8, 8, 1) * (255 / 16)).astype(np.uint8).repeat(3, axis=-1)
    is_test = np.zeros(len(labels), bool)
    for label in range(10):
        is_test[np.flatnonzero(labels == label)[TEST_SHARE - 1 :: TEST_SHARE]] = True
    classes = tuple("0123456789")
    train, test = (Examples(images[part], labels[part].astype(np.int32), classes) for part in (~is_test, is_test))
    return Splits(train, test, test)


def _drawn_splits(images: dict[str, list[Path]], seed: int, folder: Path) -> Splits:
    train, test = {}, {}
    for name, paths in images.items():
        # A generator of its own for each class: more images in one leave the split of the others alone.
        order = np.random.default_rng(seed).permutation(len(paths))
        count = max(len(paths) // TEST_SHARE, int(len(paths) > 1))
        test[name] = [paths[index] for index in sorted(order[:count])]
        train[name] = [paths[index] for index in sorted(order[count:])]
    held_out = _examples(test, tuple(images), "test")
    if not len(held_out):
        raise DataError("every class has one image only, which leaves none to test on; two or more are needed")
    paths = tuple(path.relative_to(folder).as_posix() for path in chain(*test.values()))
    return Splits(_examples(train, tuple(images), "train"), held_out, held_out, paths)


def _folder(data: str | Path) -> Path:
    folder = Path(data)
    if not folder.is_dir():
        problem = "is not a folder" if folder.exists() else "does not exist"
        raise DataError(f"{printable(folder)} {problem}; give a folder of images or the word digits")
    return folder


def _parts(root: Path) -> dict[str, Path]:
    """The folders of `root` that are parts of a data set, by the part's name."""
    parts = {}
    for folder in _entries(root):
        part = PARTS.get(folder.name.lower())
        if part and folder.is_dir():
            if part in parts:
                raise DataError(f"{printable(root)} has {parts[part].name} and {folder.name}; keep one of them")
            parts[part] = _inside(folder, root)
    return parts


def _images_by_class(part: Path, root: Path) -> dict[str, list[Path]]:
    """The image files of each class folder in `part`, which is `root` or in it; all sorted by name."""
    images = {folder.name: _images(folder, root) for folder in _entries(part) if folder.is_dir()}
    if not any(images.values()):
        raise DataError(f"no images in class folders in {printable(part)}; understood: {LAYOUTS}")
    for name, paths in images.items():
        if not paths:
            raise DataError(f"no images in {printable(part / name)}; add some or remove the folder")
        if name != name.encode(errors="replace").decode():
            raise DataError(
                f"{printable(part / name)}: its name is not UTF-8, which a class name is; rename the folder"
            )
    return images


def _images(folder: Path, root: Path) -> list[Path]:
    """The image files below a class folder. Links to folders in it are not followed: no walk is endless."""
    found = []
    for entry in _entries(_inside(folder, root)):
        if entry.suffix.lower() in IMAGE_SUFFIXES:
            found.append(_inside(entry, root))
        elif entry.is_dir() and not entry.is_symlink():
            found += _images(entry, root)
    return found


def _entries(folder: Path) -> list[Path]:
    return [folder / name for name in sorted(os.listdir(folder)) if not name.startswith(".")]


def _inside(path: Path, root: Path) -> Path:
    if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
        raise DataError(f"{printable(path)} is a link that leaves {printable(root)}; copy its target there")
    return path


def _examples(images: dict[str, list[Path]], classes: Sequence[str], where: object) -> Examples:
    labels = np.repeat(_labels(images, classes, where), [len(paths) for paths in images.values()])
    return Examples([path for paths in images.values() for path in paths], labels, tuple(classes))


def _labels(names: Iterable[str], classes: Sequence[str], where: object) -> np.ndarray:
    """The index in `classes` of each name, int32; names are composed first: file systems differ."""
    index = {normalize("NFC", name): label for label, name in enumerate(classes)}
    if len(index) < len(classes):
        raise DataError(f"classes of {printable(where)} differ in nothing but their Unicode form; rename one")
    composed = [normalize("NFC", name) for name in names]
    unknown = [_with_nearest(name, index) for name in composed if name not in index]
    if unknown:
        raise DataError(f"{printable(where)} has classes that training has not: {', '.join(unknown)}")
    return np.array([index[name] for name in composed], np.int32)


def _with_nearest(name: str, known: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(name, known, n=1)
    return f"{name!r} (did you mean {nearest[0]!r}?)" if nearest else repr(name)


def _fault(read: Callable[[Path], object], path: Path) -> str | None:
    try:
        read(path)
    except ImageError as error:
        return str(error)
    return None
