"""The layout of a data folder: its parts, their places, and its unused files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from resnext.data.folders import DROPPINGS, Folder, Member, is_image_name, is_label_file, is_table, shown
from resnext.data.labels.label_files import find_label_file
from resnext.data.labels.tables import find_table, names_only
from resnext.data.parts import PARTS, part_named, part_of
from resnext.errors import DataError, printable
from resnext.images.decode import IMAGE_SUFFIXES

IMAGES = ("images", "imgs", "img")  # folders that are not a class, but hold the images of a part, or of a class
BESIDE, LINKS = "images beside the class folders", "links to folders"
ONE = {BESIDE: "image beside the class folders", LINKS: "link to a folder"}  # in the singular
DATA_SUFFIXES = (
    ".csv", ".tsv", ".txt", ".json", ".jsonl", ".xlsx", ".xls", ".ods", ".parquet", ".feather", ".arrow", ".npy",
    ".npz", ".h5", ".hdf5", ".pkl", ".mat", ".xml", ".yaml", ".yml", ".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz",
    ".7z", ".rar",
)  # fmt: skip
SUFFIXES = " ".join(sorted(IMAGE_SUFFIXES))
# The folders that contain the parts of ImageNet in Kaggle's copy, whose test/ has no labels.
KAGGLE = (("ILSVRC", "Data", "CLS-LOC"), ("Data", "CLS-LOC"))
LAYOUTS = (
    f"DATA/<class>/*, or DATA/train/<class>/* with DATA/test/ or DATA/val/, or a CSV file of files and labels; images "
    f"end in {SUFFIXES}"
)


class Layout(NamedTuple):
    """The contents of a data folder, read once, when it is opened."""

    root: Folder
    parts: Mapping[str, Folder]  # the usable ones: "train", "validation", "test"
    unlabelled_test: Folder | None = None  # a test/ with images only, as in Kaggle's competitions
    table: Path | Member | None = None  # labels the training images if no class folders do

    @property
    def train(self) -> Folder:
        """The folder of the training images: the root if there are no parts."""
        return self.parts.get("train", self.root)

    @property
    def others(self) -> dict[str, Folder]:
        """The parts that are not used for training."""
        return {name: part for name, part in self.parts.items() if name != "train"}


def layout_of(root: Folder, table: Path | Member | None = None) -> Layout:
    """Find the layout of a data folder. Raises DataError if two folders are the same part.

    Args:
        root: folder, already `unwrapped`.
        table: table of the training images, if the user named one.
    """
    parts = _parts(root)
    test = parts["test"] if _is_unlabelled(root, parts) else None
    parts = {name: part for name, part in parts.items() if part is not test}
    return Layout(root, parts, test, table or _table(root, parts))


def _parts(root: Folder) -> dict[str, Folder]:
    kaggle = next(filter(None, (below(root, names) for names in KAGGLE)), None)
    folders = {name: folder for name, folder in shown(kaggle or root).items() if folder}
    found = {name: _part_called(name, folder) for name, folder in folders.items()}
    all_parts = {name: part_of(name) for name in folders}
    called = [name for name in folders if part_named(name) == "train"]
    is_alone = len({*found.values()} - {None}) == 1 and None in found.values() and not called
    if "train" not in found.values() or is_alone:  # without a train, only the usual names are parts
        found = {name: PARTS.get(name.lower()) for name in folders}
        if {"train", "test"} <= {*all_parts.values()}:
            found = all_parts  # they may have images of their own
    parts: dict[str, str] = {}
    for name, part in found.items():
        if part and not (kaggle and part == "test"):
            one = _preferred(folders, parts.get(part), name)
            if one is None:
                raise DataError(
                    f"{printable(root)} has two folders for one part, {parts[part]} and {name}; keep only one"
                )
            parts[part] = one
    return {part: _without_its_own(folders[name].checked()) for part, name in parts.items()}


def _preferred(folders: Mapping[str, Folder], one: str | None, other: str) -> str | None:
    """Return which of two folders is a part: the only one that is called exactly so, or has images; else None."""
    if one is None:
        return other
    for is_better in (lambda name: name.lower() in PARTS, lambda name: has_any_image(folders[name])):
        better = [name for name in (one, other) if is_better(name)]
        if len(better) == 1:
            return better[0]
    return None


def has_any_image(folder: Folder) -> bool:
    """Return whether there are images in a folder or below it, where links to folders are not followed."""
    return has_images(folder) or any(has_any_image(inner) for inner in _folders(folder) if not inner.is_link)


def _part_called(name: str, folder: Folder) -> str | None:
    """Return the part that a folder is by its name, if it is one."""
    is_class = has_images(folder) or not _folders(folder)
    return PARTS.get(name.lower()) or (None if is_class else part_of(name))


def has_images(folder: Folder) -> bool:
    """Return whether there are images in a folder itself."""
    return any(entry is None and is_image_name(name) for name, entry in shown(folder).items())


def images_of_flat_part(part: Folder) -> Folder | None:
    """Return the folder with the images of a part without class folders: itself, or the images/ in it."""
    folders = _folders(part)
    if has_images(part):
        return None if folders else part
    only = folders[0] if len(folders) == 1 else None
    names = (*IMAGES, part.name.lower())
    return only if only and only.name.lower() in names and has_images(only) and not _folders(only) else None


def _folders(folder: Folder) -> list[Folder]:
    return [entry for entry in shown(folder).values() if entry]


def _without_its_own(part: Folder) -> Folder:
    """Return the folder in a part of the same name, as archives unpack them; the part itself if it has more."""
    folders = _folders(part)
    same = len(folders) == 1 and folders[0].name.lower() == part.name.lower() and not has_images(part)
    return folders[0].checked() if same and _folders(folders[0]) else part


def _is_unlabelled(root: Folder, parts: Mapping[str, Folder]) -> bool:
    """Return whether test/, beside train/, has images and no labels."""
    test = parts.get("test") if "train" in parts else None
    if test is None or images_of_flat_part(test) is None:
        return False
    try:
        file = find_label_file(test, [root])
    except DataError:
        return True
    return names_only(file)


def _table(root: Folder, parts: Mapping[str, Folder]) -> Path | Member | None:
    """Return the table of a folder whose training images are not in class folders."""
    folder = parts.get("train", root)
    if parts and "train" not in parts:
        return None
    entries = shown(folder)
    folders = [entry for entry in entries.values() if entry]
    if folder is root and len(folders) == 1 and not any(map(is_image_name, entries)):
        entries, folders = shown(folders[0]), [entry for entry in shown(folders[0]).values() if entry]
    if folders or not any(map(is_image_name, entries)):
        return None
    return find_table(root) or (find_table(folder) if folder is not root else None)


def below(root: Folder, names: Sequence[str]) -> Folder | None:
    """Return the folder at this path, or None if it does not exist."""
    folder: Folder | None = root
    for name in names:
        folder = shown(folder).get(name) if folder else None
    return folder


def unwrapped(tree: Folder) -> Folder:
    """Return the only folder in a tree, or the tree itself if that folder is a class or a part of a data set.

    The folder may itself have only one folder.
    """
    entries = shown(tree)
    folders = [folder for folder in entries.values() if folder]
    files = [name for name, folder in entries.items() if folder is None]
    is_data = any(is_image_name(name) or is_table(name) for name in files)
    if len(folders) != 1 or is_data:
        return tree
    (only,) = folders
    if only.is_link or only.name.lower() in PARTS or not any(shown(only).values()):
        return tree
    return only


def may_be_data(name: str) -> bool:
    """Return whether a file may hold labels, parts or images, by its suffix; a README or a licence holds none."""
    path = PurePosixPath(name.lower())
    return path.stem not in ("readme", "license", "licence", "requirements") and path.suffix in DATA_SUFFIXES


def count_left_out(layout: Layout) -> Counter[str]:
    """Count the unused files by kind; files beside the class folders and the parts may be anything."""
    counts = _droppings(layout.root)
    parts = [*layout.parts.values()] + ([layout.unlabelled_test] if layout.unlabelled_test else [])
    for part in parts or [layout.root]:
        if part is not layout.root:
            counts += _droppings(part)
        folders = [folder for folder in shown(part).values() if folder]
        for folder in folders:
            counts += _count(folder)
        if folders:
            counts += Counter(
                {BESIDE: sum(entry is None and is_image_name(name) for name, entry in shown(part).items())}
            )
        if not folders:  # images, which a file labels
            others = (name for name in shown(part) if not (is_label_file(name) or is_image_name(name)))
            counts += Counter(map(suffix_of, others))
    return counts


def kinds_in_words(counts: Counter[str]) -> str:
    """Return the kinds of unused files in words, the most frequent first: "6 .heic, 1 link to a folder"."""
    kinds = ((count, ONE.get(kind, kind) if count == 1 else kind) for kind, count in counts.most_common())
    return ", ".join(f"{count:,} {printable(kind)}" for count, kind in kinds)


def _count(folder: Folder) -> Counter[str]:
    """Count the unused files below a class folder, where links to folders are not followed."""
    counts = _droppings(folder)
    for name, entry in shown(folder).items():
        if entry and entry.is_link:
            counts[LINKS] += 1
        elif entry:
            counts += _count(entry)
        elif not is_image_name(name):
            counts[suffix_of(name)] += 1
    return counts


def _droppings(folder: Folder) -> Counter[str]:
    counts = Counter()
    for name, entry in folder.entries().items():
        if name.lower() in DROPPINGS:
            counts[f"in {name}" if entry else name] += _files(entry) if entry else 1
    return counts


def _files(folder: Folder) -> int:
    return sum(_files(entry) if entry else 1 for entry in folder.entries().values() if not (entry and entry.is_link))


def suffix_of(name: str) -> str:
    """Return the kind under which a file is counted: its suffix."""
    return PurePosixPath(name).suffix.lower() or "without a suffix"
