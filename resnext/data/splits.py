"""Where labelled images come from.

A data argument is a word (`resnext.data.builtin`), or a folder or a tar archive (`resnext.data.archives`) with

    DATA/train/<class>/**   beside DATA/test/ or DATA/val/ or both, or alone
    DATA/<class>/**         one sixth of each class is kept for testing

`test/` and `val/` have class folders, too, or images alone and a label file (`resnext.data.label_files`), as ImageNet
has; Kaggle's copy of ImageNet is taken as it is. Hidden files and files without an image suffix are ignored.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path, PurePosixPath
from unicodedata import normalize

import numpy as np

from resnext.data.archives import READERS, Member, archive_suffix, read_archive
from resnext.data.builtin import TEST_SHARE, WORDS, load_word, local_copy
from resnext.data.examples import Examples, Splits
from resnext.data.folders import DiskFolder, Folder
from resnext.data.label_files import find_label_file, read_labels
from resnext.errors import DataError, printable
from resnext.images.decode import IMAGE_SUFFIXES

PARTS = {"train": "train", "test": "test"} | dict.fromkeys(("val", "valid", "validation"), "validation")
SUFFIXES = " ".join(sorted(IMAGE_SUFFIXES))
KAGGLE = (
    ("ILSVRC", "Data", "CLS-LOC"),
    ("Data", "CLS-LOC"),
)  # where the parts of ImageNet are; its test/ has no labels
LAYOUTS = f"DATA/<class>/*, or DATA/train/<class>/* with DATA/test/ or DATA/val/; images end in {SUFFIXES}"


def source_name(data: str | Path) -> str:
    """One name for a data argument from wherever it is given: the word, or the absolute path."""
    return str(data) if data in WORDS else str(Path(data).resolve())


def load_splits(data: str | Path, seed: int = 0) -> Splits:
    """The parts to train, validate and test on. Classes are the sorted names of the training folders.

    Where only one of `test/` and `val/` exists it serves as both; where neither does, one sixth of every
    class is drawn for them, by `seed` and the sorted file names alone.

    Args:
        data: a word, or a folder or an archive (a folder really called digits: "./digits").
        seed: of the drawn split, 0 or more.

    Raises:
        DataError: data that can't be used, with the layouts that can.
    """
    root = _root(data)
    if root is None:
        return _splits_of_word(str(data))
    parts = _parts(root)
    if parts and "train" not in parts:
        raise DataError(f"{printable(root)} has {', '.join(parts)} but no train; training needs {LAYOUTS}")
    folder = parts.get("train", root)
    images = _images_by_class(folder)
    if len(images) < 2:
        raise DataError(f"{printable(root)} has one class only, {min(images)!r}; training needs two or more")
    held_out = [parts[name] for name in ("validation", "test") if name in parts]
    if not held_out:
        return _drawn_splits(images, seed, folder)
    train = _examples(images, tuple(images), root)
    judged = [_judged(part, root, train.classes) for part in held_out]
    return Splits(train, judged[0], judged[-1])


def load_examples(data: str | Path, classes: Sequence[str]) -> Examples:
    """The examples to judge a trained network on, labelled by its own `classes`, not by the folders' order.

    They are the data's `test/` if it has one, else its `val/`, else its class folders; of a word the test part.
    Names match in any Unicode normal form.

    Raises:
        DataError: no images, or a class that is not in `classes`.
    """
    root = _root(data)
    if root is None:
        test = _splits_of_word(str(data)).test
        return Examples(test.images, _labels(test.classes, classes, data)[test.labels], tuple(classes))
    parts = _parts(root)
    if set(parts) == {"train"}:
        train = printable(parts["train"])
        raise DataError(f"{printable(root)} has train but neither test nor val; to judge on it give {train}")
    return _judged(parts.get("test") or parts.get("validation") or root, root, classes)


def load_held_out(
    data: str | Path, held_out: Sequence[str], classes: Sequence[str]
) -> tuple[Examples, list[str]] | None:
    """The images that an earlier `load_splits` drew for testing: those still there, and what the others were called.

    None where the data has images for testing now.
    """
    root = _root(data)
    parts = _parts(root) if root else {}
    if root is None or parts.keys() - {"train"}:
        return None
    folder = parts.get("train", root)
    found = {path: folder.find(path) for path in held_out}
    labels = _labels([path.split("/")[0] for path, file in found.items() if file], classes, root)
    images = [file for file in found.values() if file]
    return Examples(images, labels, tuple(classes)), [f"{folder}/{path}" for path, file in found.items() if not file]


def _root(data: str | Path) -> Folder | None:
    """The folder or the archive; none for a word without a local copy."""
    path = local_copy(str(data)) if data in WORDS else Path(data)
    if path is None:
        return None
    if path.is_dir():
        return DiskFolder(path, path)
    if path.is_file() and archive_suffix(path):
        return _unwrapped(read_archive(path))
    problem = "is neither a folder nor an archive" if path.exists() else "does not exist"
    raise DataError(
        f"{printable(path)} {problem}; give a folder of images, an archive ({' '.join(READERS)}) or a word: "
        f"{', '.join(WORDS)}"
    )


def _unwrapped(tree: Folder) -> Folder:
    """The folder that is all that an archive has, unless it is a part of a data set, or a class."""
    (only, *others) = tree.entries().values() or [None]
    if others or only is None or only.name.lower() in PARTS or not any(only.entries().values()):
        return tree
    return _unwrapped(only)


def _splits_of_word(word: str) -> Splits:
    train, test, classes = load_word(word)
    judged = Examples(*test, classes)
    return Splits(Examples(*train, classes), judged, judged)


def _drawn_splits(images: dict[str, list[Path | Member]], seed: int, folder: Folder) -> Splits:
    train, test = {}, {}
    for name, files in images.items():
        # A generator of its own for each class: more images in one leave the split of the others alone.
        order = np.random.default_rng(seed).permutation(len(files))
        count = max(len(files) // TEST_SHARE, int(len(files) > 1))
        test[name] = [files[index] for index in sorted(order[:count])]
        train[name] = [files[index] for index in sorted(order[count:])]
    held_out = _examples(test, tuple(images), "test")
    if not len(held_out):
        raise DataError("every class has one image only, which leaves none to test on; two or more are needed")
    paths = tuple(Path(str(file)).relative_to(str(folder)).as_posix() for file in held_out.images)
    return Splits(_examples(train, tuple(images), "train"), held_out, held_out, paths)


def _parts(root: Folder) -> dict[str, Folder]:
    """The folders that are parts of a data set, by the part's name."""
    kaggle = next(filter(None, (_below(root, names) for names in KAGGLE)), None)
    parts = {}
    for name, folder in (kaggle or root).entries().items():
        part = PARTS.get(name.lower())
        if part and folder and not (kaggle and part == "test"):
            if part in parts:
                raise DataError(f"{printable(root)} has {parts[part].name} and {name}; keep one of them")
            parts[part] = folder.checked()
    return parts


def _below(root: Folder, names: Sequence[str]) -> Folder | None:
    """The folder at this path, if there is one."""
    folder: Folder | None = root
    for name in names:
        folder = folder.entries().get(name) if folder else None
    return folder


def _judged(part: Folder, root: Folder, classes: Sequence[str]) -> Examples:
    """The images of a part by its class folders, or, where it has none, by its label file."""
    entries = part.entries()
    images = [name for name, folder in entries.items() if folder is None and _is_image(name)]
    if not images or any(entries.values()):
        return _examples(_images_by_class(part), classes, part)
    labels = find_label_file(part, [root])
    names = read_labels(labels, images, classes)
    return Examples([part.file(name) for name in images], _labels(names, classes, labels), tuple(classes))


def _images_by_class(part: Folder) -> dict[str, list[Path | Member]]:
    """The image files of each class folder in `part`; all sorted by name."""
    images = {name: _images(folder) for name, folder in part.entries().items() if folder}
    if not any(images.values()):
        raise DataError(f"no images in class folders in {printable(part)}; understood: {LAYOUTS}")
    for name, files in images.items():
        if not files:
            raise DataError(f"no images in {printable(f'{part}/{name}')}; add some or remove the folder")
        if name != name.encode(errors="replace").decode():
            raise DataError(
                f"{printable(f'{part}/{name}')}: its name is not UTF-8, which a class name is; rename the folder"
            )
    return images


def _images(folder: Folder) -> list[Path | Member]:
    """The image files below a class folder. Links to folders in it are not followed: no walk is endless."""
    found = []
    for name, entry in folder.entries().items():
        if entry is None and _is_image(name):
            found.append(folder.file(name))
        elif entry and not entry.is_link:
            found += _images(entry)
    return found


def _is_image(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES


def _examples(images: dict[str, list[Path | Member]], classes: Sequence[str], where: object) -> Examples:
    labels = np.repeat(_labels(images, classes, where), [len(files) for files in images.values()])
    return Examples([*chain(*images.values())], labels, tuple(classes))


def _labels(names: Iterable[str], classes: Sequence[str], where: object) -> np.ndarray:
    """The index in `classes` of each name, int32; names are composed first: file systems differ."""
    index = {normalize("NFC", name): label for label, name in enumerate(classes)}
    if len(index) < len(classes):
        raise DataError(f"classes of {printable(where)} differ in nothing but their Unicode form; rename one")
    composed = [normalize("NFC", name) for name in names]
    unknown = list(dict.fromkeys(name for name in composed if name not in index))
    if unknown:
        named = [_with_nearest(name, index) for name in unknown[:10]] + (["..."] if len(unknown) > 10 else [])
        raise DataError(f"{printable(where)} has classes that training has not: {', '.join(named)}")
    return np.array([index[name] for name in composed], np.int32)


def _with_nearest(name: str, known: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(name, known, n=1)
    return f"{name!r} (did you mean {nearest[0]!r}?)" if nearest else repr(name)
