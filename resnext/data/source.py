"""The sources of labelled images that a DATA argument can name.

DATA is the name of a built-in data set (`resnext.data.builtin`), or a folder or tar archive (`resnext.data.archives`):

    DATA/train/<class>/**   alone, or with DATA/test/, DATA/val/ or both beside it
    DATA/<class>/**         one sixth of each class is held out for testing

`test/` and `val/` contain class folders as well, or only images and a label file (`resnext.data.label_files`), as in
ImageNet; Kaggle's copy of ImageNet is accepted unchanged. Hidden files and files without an image suffix are ignored.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from unicodedata import normalize

import numpy as np

from resnext.data.archive_members import Member
from resnext.data.archives import ARCHIVES, archive_suffix, read_archive
from resnext.data.builtin import BUILTIN, TEST_SHARE, load_builtin, local_copy
from resnext.data.examples import Examples, Splits
from resnext.data.folders import DiskFolder, Folder, is_image_name, is_label_file, shown
from resnext.data.label_files import find_label_file, read_labels
from resnext.data.left_out import count_left_out
from resnext.errors import DataError, printable
from resnext.files import user_path
from resnext.images.decode import IMAGE_SUFFIXES

PARTS = {"train": "train", "test": "test"} | dict.fromkeys(("val", "valid", "validation"), "validation")
SUFFIXES = " ".join(sorted(IMAGE_SUFFIXES))
# The folders that contain the parts of ImageNet in Kaggle's copy, whose test/ has no labels.
KAGGLE = (("ILSVRC", "Data", "CLS-LOC"), ("Data", "CLS-LOC"))
LAYOUTS = f"DATA/<class>/*, or DATA/train/<class>/* with DATA/test/ or DATA/val/; images end in {SUFFIXES}"


@dataclass(frozen=True)
class DataSource:
    """The source that a DATA argument names: a folder, an archive or a built-in data set, opened once.

    Args:
        name: name that does not depend on the current folder: that of a built-in data set, or the absolute path.
        root: folder or archive; None for a built-in data set without a local copy.
        location: path of the root.
    """

    name: str
    root: Folder | None = None
    location: Path | None = None

    def __str__(self) -> str:
        return printable(self.location or self.name)

    def contains(self, path: Path) -> bool:
        """Return whether a path is inside the folder of the data."""
        return self.location is not None and path.resolve().is_relative_to(self.location.resolve())

    def left_out(self) -> list[str]:
        """Return what of the data is not used, in words: files that are no images, and parts without labels."""
        if self.root is None:
            return []
        parts = _all_parts(self.root)
        said, files = [], count_left_out(self.root, [*parts.values()])
        if files:
            said.append("left out: " + ", ".join(f"{count:,} {kind}" for kind, count in files.most_common()))
        if part := _unlabelled_test(self.root, parts):
            said.append(f"{part}: not used, for it has neither class folders nor a label file")
        return said

    def splits(self, seed: int = 0) -> Splits:
        """Return the parts to train, validate and test on. The classes are the sorted names of the training folders.

        If only one of `test/` and `val/` exists, it serves as both. If neither exists, one sixth of every class is
        drawn for them; the choice depends only on `seed` and the sorted file names.

        Raises:
            DataError: the data cannot be used; the message lists the layouts that can.
        """
        if self.root is None:
            return load_builtin(self.name)
        parts = _parts(self.root)
        if parts and "train" not in parts:
            others = [name for name, folder in shown(self.root).items() if folder and name.lower() not in PARTS]
            called = ", ".join(part.name for part in parts.values())
            hint = f". If {called} is a class, rename its folder, or move all classes into train/" if others else ""
            raise DataError(f"{self} has {called} but no train; training needs {LAYOUTS}{hint}")
        folder = parts.get("train", self.root)
        images = _images_by_class(folder)
        if len(images) < 2:
            raise DataError(f"{self} has one class only, {min(images)!r}; training needs two or more")
        held_out = [parts[name] for name in ("validation", "test") if name in parts]
        if not held_out:
            return _drawn_splits(images, seed, folder)
        train = _examples(images, tuple(images), self.root)
        evaluated = [_labelled(part, self.root, train.classes) for part in held_out]
        return Splits(train, evaluated[0], evaluated[-1])

    def examples(self, classes: Sequence[str]) -> Examples:
        """Return the examples to evaluate a trained network on, labelled by its own `classes`.

        They come from `test/` if it exists, else from `val/`, else from the class folders; for a built-in data set they
        are its test part. Class names match in any Unicode normal form.

        Raises:
            DataError: there are no images, or a class is not in `classes`.
        """
        if self.root is None:
            test = load_builtin(self.name).test
            return Examples(test.images, _labels(test.classes, classes, self.name)[test.labels], tuple(classes))
        parts = _parts(self.root)
        if set(parts) == {"train"}:
            raise DataError(f"{self} has train but neither test nor val; to evaluate on it pass {parts['train']}")
        return _labelled(parts.get("test") or parts.get("validation") or self.root, self.root, classes)

    def held_out(self, paths: Sequence[str], classes: Sequence[str]) -> tuple[Examples, list[str]] | None:
        """Return the images that an earlier `splits` drew for testing, and the names of those that are gone.

        Return None if the data has images for testing now.
        """
        parts = _parts(self.root) if self.root else {}
        if self.root is None or parts.keys() - {"train"}:
            return None
        folder = parts.get("train", self.root)
        found = {path: folder.find(path) for path in paths}
        labels = _labels([path.split("/")[0] for path, file in found.items() if file], classes, self.root)
        images = [file for file in found.values() if file]
        return Examples(images, labels, tuple(classes)), [
            f"{folder}/{path}" for path, file in found.items() if not file
        ]


def open_data(data: str | Path, follow_links: bool = False) -> DataSource:
    """Open a folder, an archive or a built-in data set (pass "./digits" for a folder named digits).

    Args:
        data: path, or name of a built-in data set.
        follow_links: whether links on disk may lead out of the folder.

    Raises:
        DataError: the data does not exist, or the archive is damaged or hostile.
    """
    is_builtin = data in BUILTIN
    path = local_copy(str(data)) if is_builtin else user_path(data)
    if path is None:
        return DataSource(str(data))
    name = str(data) if is_builtin else str(path.resolve())
    if path.is_dir():
        return DataSource(name, _unwrapped(DiskFolder(path, None if follow_links else path)), path)
    if path.is_file() and archive_suffix(path):
        return DataSource(name, _unwrapped(read_archive(path)), path)
    problem = "is neither a folder nor an archive" if path.exists() else "does not exist"
    raise DataError(
        f"{printable(path)} {problem}; pass a folder of images, an archive ({' '.join(ARCHIVES)}) or the name of a "
        f"built-in data set: {', '.join(BUILTIN)}"
    )


def _unwrapped(tree: Folder) -> Folder:
    """Return the only folder in a tree, or the tree itself if that folder is a part of a data set or a class."""
    entries = shown(tree)
    folders = [folder for folder in entries.values() if folder]
    files = [name for name, folder in entries.items() if folder is None]
    is_data = any(is_image_name(name) or is_label_file(name) for name in files)
    if len(folders) != 1 or is_data:
        return tree
    (only,) = folders
    if only.is_link or only.name.lower() in PARTS or not any(shown(only).values()):
        return tree
    return _unwrapped(only)


def _unlabelled_test(root: Folder, parts: dict[str, Folder]) -> Folder | None:
    """Return a test/ of images alone beside train/, as Kaggle's competitions have it."""
    test = parts.get("test") if "train" in parts else None
    if test is None:
        return None
    entries = shown(test)
    if any(entries.values()) or not any(map(is_image_name, entries)):
        return None
    try:
        find_label_file(test, [root])
    except DataError:
        return test
    return None


def _drawn_splits(images: dict[str, list[Path | Member]], seed: int, folder: Folder) -> Splits:
    train, test = {}, {}
    for name, files in images.items():
        # Each class has its own generator: more images in one class leave the split of the others unchanged.
        order = np.random.default_rng(seed).permutation(len(files))
        count = max(len(files) // TEST_SHARE, int(len(files) > 1))
        test[name] = [files[index] for index in sorted(order[:count])]
        train[name] = [files[index] for index in sorted(order[count:])]
    held_out = _examples(test, tuple(images), "test")
    if not len(held_out):
        raise DataError(
            "every class has one image only, which leaves none to test on; add images: at least one class needs two"
        )
    paths = tuple(Path(str(file)).relative_to(str(folder)).as_posix() for file in held_out.images)
    return Splits(_examples(train, tuple(images), "train"), held_out, held_out, paths)


def _parts(root: Folder) -> dict[str, Folder]:
    """Return the folders that are parts of a data set, by the name of the part, without a test/ that has no labels."""
    parts = _all_parts(root)
    unlabelled = _unlabelled_test(root, parts)
    return {name: part for name, part in parts.items() if part is not unlabelled}


def _all_parts(root: Folder) -> dict[str, Folder]:
    kaggle = next(filter(None, (_below(root, names) for names in KAGGLE)), None)
    parts = {}
    for name, folder in shown(kaggle or root).items():
        part = PARTS.get(name.lower())
        if part and folder and not (kaggle and part == "test"):
            if part in parts:
                raise DataError(f"{printable(root)} has {parts[part].name} and {name}; keep one of them")
            parts[part] = folder.checked()
    return parts


def _below(root: Folder, names: Sequence[str]) -> Folder | None:
    """Return the folder at this path, or None if it does not exist."""
    folder: Folder | None = root
    for name in names:
        folder = shown(folder).get(name) if folder else None
    return folder


def _labelled(part: Folder, root: Folder, classes: Sequence[str]) -> Examples:
    """Return the images of a part, labelled by its class folders or, if it has none, by its label file."""
    entries = shown(part)
    images = [name for name, folder in entries.items() if folder is None and is_image_name(name)]
    if not images or any(entries.values()):
        return _examples(_images_by_class(part, may_be_empty=True), classes, part)
    labels = find_label_file(part, [root])
    names = read_labels(labels, images, classes)
    return Examples([part.file(name) for name in images], _labels(names, classes, labels), tuple(classes))


def _images_by_class(part: Folder, may_be_empty: bool = False) -> dict[str, list[Path | Member]]:
    """Return the image files of each class folder in `part`, all sorted by name.

    Args:
        part: folder of class folders.
        may_be_empty: whether some classes may have no images, as for evaluation.
    """
    images = {name: _images(folder) for name, folder in shown(part).items() if folder}
    if not any(images.values()):
        raise DataError(f"no images in class folders in {printable(part)}; allowed layouts: {LAYOUTS}")
    for name, files in images.items():
        if not files and not may_be_empty:
            raise DataError(f"no images in {printable(f'{part}/{name}')}; add some or remove the folder")
        if name != name.encode(errors="replace").decode():
            raise DataError(
                f"{printable(f'{part}/{name}')}: its name is not UTF-8, which class names must be; rename the folder"
            )
    return images


def _images(folder: Folder) -> list[Path | Member]:
    """Return the image files below a class folder. Links to folders are not followed, so that the search ends."""
    found = []
    for name, entry in shown(folder).items():
        if entry is None and is_image_name(name):
            found.append(folder.file(name))
        elif entry and not entry.is_link:
            found += _images(entry)
    return found


def _examples(images: dict[str, list[Path | Member]], classes: Sequence[str], where: object) -> Examples:
    labels = np.repeat(_labels(images, classes, where), [len(files) for files in images.values()])
    return Examples([*chain(*images.values())], labels, tuple(classes))


def _labels(names: Iterable[str], classes: Sequence[str], where: object) -> np.ndarray:
    """Return the index in `classes` of each name, int32.

    Names are first converted to the composed Unicode form, because file systems differ in the form that they store.
    """
    index = {normalize("NFC", name): label for label, name in enumerate(classes)}
    if len(index) < len(classes):
        raise DataError(f"classes of {printable(where)} differ only in their Unicode form; rename one")
    composed = [normalize("NFC", name) for name in names]
    unknown = list(dict.fromkeys(name for name in composed if name not in index))
    if unknown:
        named = [_with_nearest(name, index) for name in unknown[:10]] + (["..."] if len(unknown) > 10 else [])
        raise DataError(f"{printable(where)} has classes that training has not seen: {', '.join(named)}")
    return np.array([index[name] for name in composed], np.int32)


def _with_nearest(name: str, known: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(name, known, n=1)
    return f"{name!r} (did you mean {nearest[0]!r}?)" if nearest else repr(name)
