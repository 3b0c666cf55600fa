"""Class names of images that lie in no class folders, as ImageNet's validation images come: from a text file.

LOC_val_solution.csv                            Kaggle's: ImageId,PredictionString
imagenet_2012_validation_synset_labels.txt      a class name on each line, in the sorted order of the images
val.txt                                         that, or `file label` on each line: a class name, or an index into
                                                the sorted class names
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from resnext.data.archives import LABEL_SUFFIXES, Member, read_text
from resnext.data.folders import Folder
from resnext.errors import DataError, printable

NAMES = ("LOC_{part}_solution.csv", "imagenet_2012_validation_synset_labels.txt", "{part}.txt", "{part}_labels.txt")
NUMBERED = "ILSVRC2012_validation_ground_truth.txt"  # no label file, but taken for one
KAGGLE_HEADER = "ImageId,PredictionString"
ALLOWED = f"a label file: {NAMES[0].format(part='val')}, {NAMES[1]}, or val.txt with a line `file label` for each image"


def find_label_file(part: Folder, folders: Iterable[Folder]) -> Path | Member:
    """The label file of a part without class folders: in it, or in one of the folders, by its name.

    A single text file among the images may have any name.

    Raises:
        DataError: there is none.
    """
    names = [name.format(part=part.name) for name in NAMES] + [NUMBERED]
    for folder in (part, *folders):
        entries = folder.entries()
        found = [name for name in names if name in entries]
        if not found and folder is part:
            found = [name for name in entries if PurePosixPath(name).suffix.lower() in LABEL_SUFFIXES]
            found = found if len(found) == 1 else []
        if found:
            return folder.file(found[0])
    raise DataError(f"{printable(part)} has images but no class folders; sort them into folders or add {ALLOWED}")


def read_labels(file: Path | Member, images: Sequence[str], classes: Sequence[str]) -> list[str]:
    """The class name of each image, by the file; the names are not checked.

    Args:
        file: in one of the forms above.
        images: file names, sorted.
        classes: the class names.

    Raises:
        DataError: not one label for each image, or numbers that mean other classes.
    """
    lines = [line.strip() for line in read_text(file).splitlines() if line.strip()]
    known = {PurePosixPath(image).stem: image for image in images} | {image: image for image in images}
    if lines[:1] == [KAGGLE_HEADER]:
        pairs = [line.replace(",", " ").split()[:2] for line in lines[1:]]  # a class, and where in the image it is
    elif lines and PurePosixPath(lines[0].split()[0]).name in known:
        pairs = [line.split(maxsplit=1) for line in lines]
    else:
        return _in_order(file, lines, images, classes)
    label_of = _by_image(file, pairs, known)
    without = [image for image in images if image not in label_of]
    if without:
        raise DataError(f"{printable(file)} has no label for {_named(without)}; add it or remove the image")
    name_of = {str(index): name for index, name in enumerate(sorted(classes))} | {name: name for name in classes}
    return [name_of.get(label_of[image], label_of[image]) for image in images]


def _in_order(file: Path | Member, names: list[str], images: Sequence[str], classes: Sequence[str]) -> list[str]:
    if all(name.isdecimal() for name in names) and not set(names) <= set(classes):
        raise DataError(
            f"{printable(file)} has bare numbers, and ILSVRC's do not follow the order of the folders; give {ALLOWED}"
        )
    if len(names) != len(images):
        raise DataError(
            f"{printable(file)} has {len(names):,} lines for {len(images):,} images; it needs one class name for each, "
            "in the sorted order of the images"
        )
    return names


def _by_image(file: Path | Member, pairs: Iterable[list[str]], known: Mapping[str, str]) -> dict[str, str]:
    """The label of each image that the file names."""
    label_of, missing = {}, []
    for name, *label in pairs:
        image = known.get(PurePosixPath(name).name)
        if not label:
            raise DataError(f"{printable(file)} has {name!r} without a label; a line is `file label`")
        if image is None:
            missing.append(name)
        elif label_of.setdefault(image, label[0]) != label[0]:
            raise DataError(f"{printable(file)} has two labels for {printable(image)}; keep one")
    if missing:
        raise DataError(
            f"{printable(file)} names {_named(missing)}, which is not there; add the image or remove the line"
        )
    return label_of


def _named(images: Sequence[str]) -> str:
    return printable(images[0]) + (f" and {len(images) - 1:,} more" if len(images) > 1 else "")
