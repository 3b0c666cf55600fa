"""Label files: text files with the classes of images that are not in class folders, such as ImageNet's for validation.

LOC_val_solution.csv                            Kaggle's file: ImageId,PredictionString
imagenet_2012_validation_synset_labels.txt      a class name on each line, in the sorted order of the images
val.txt                                         the same, or `file label` on each line, where the label is a class name
                                                or an index into the sorted class names
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from resnext.data.archives import LABEL_SUFFIXES, Member, read_text
from resnext.data.folders import Folder
from resnext.errors import DataError, printable

NAMES = ("LOC_{part}_solution.csv", "imagenet_2012_validation_synset_labels.txt", "{part}.txt", "{part}_labels.txt")
NUMBERED = "ILSVRC2012_validation_ground_truth.txt"  # not a valid label file, but often mistaken for one
KAGGLE_HEADER = "ImageId,PredictionString"
ALLOWED = f"a label file: {NAMES[0].format(part='val')}, {NAMES[1]}, or val.txt with a line `file label` for each image"


def find_label_file(part: Folder, folders: Iterable[Folder]) -> Path | Member:
    """Return the label file of a part without class folders, found by its name in the part or in one of the folders.

    A single text file among the images may have any name.

    Raises:
        DataError: there is no label file.
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
    """Return the class name that the file gives for each image; the names are not checked.

    Args:
        file: label file in one of the forms above.
        images: sorted file names of the images.
        classes: class names.

    Raises:
        DataError: the file does not have one label for each image, or has numbers that mean other classes.
    """
    lines = [line.strip() for line in read_text(file).splitlines() if line.strip()]
    known = {PurePosixPath(image).stem: image for image in images} | {image: image for image in images}
    if lines[:1] == [KAGGLE_HEADER]:
        # After the image and its class, a line gives the position in the image.
        pairs = [line.replace(",", " ").split()[:2] for line in lines[1:]]
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
            f"{printable(file)} has bare numbers, and ILSVRC's do not follow the order of the folders; use {ALLOWED}"
        )
    if len(names) != len(images):
        raise DataError(
            f"{printable(file)} has {len(names):,} lines for {len(images):,} images; provide one class name per image, "
            "in the sorted order of the images"
        )
    return names


def _by_image(file: Path | Member, pairs: Iterable[list[str]], known: Mapping[str, str]) -> dict[str, str]:
    """Return the label of each image that the file names."""
    label_of, missing = {}, []
    for name, *label in pairs:
        image = known.get(PurePosixPath(name).name)
        if not label:
            raise DataError(f"{printable(file)} has {name!r} without a label; write each line as `file label`")
        if image is None:
            missing.append(name)
        elif label_of.setdefault(image, label[0]) != label[0]:
            raise DataError(f"{printable(file)} has two labels for {printable(image)}; keep one")
    if missing:
        raise DataError(
            f"{printable(file)} names {_named(missing)}, which does not exist; add the image or remove the line"
        )
    return label_of


def _named(images: Sequence[str]) -> str:
    return printable(images[0]) + (f" and {len(images) - 1:,} more" if len(images) > 1 else "")
