"""The sources of labelled images that a DATA argument can name.

DATA is the name of a built-in data set (`resnext.data.builtin`), or a folder or tar archive (`resnext.data.archives`):

    DATA/train/<class>/**   alone, or with DATA/test/, DATA/val/ or both beside it
    DATA/<class>/**         one sixth of each class is held out for testing
    DATA.csv, or a table beside images that are not in class folders (`resnext.data.labels.tables`)

`test/` and `val/` contain class folders as well, or only images and a label file, as in ImageNet
(`resnext.data.labels.label_files`); Kaggle's copy of ImageNet is accepted unchanged. Hidden files and files without an
image suffix are ignored.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from resnext.data.archives import ARCHIVES, archive_suffix, read_archive
from resnext.data.builtin import BUILTIN, load_builtin, local_copy
from resnext.data.chosen_classes import of_classes, splits_of_classes
from resnext.data.class_folders import examples_of_folders, folders_in_classes, images_by_class, labelled, labels_of
from resnext.data.copies import copies_in
from resnext.data.examples import Examples
from resnext.data.folders import TABLES, DiskFolder, Folder, Member, composed, is_image_name, is_table, shown
from resnext.data.holdout import Holdout, drawn_splits, groups_of, splits_of
from resnext.data.labels.label_files import columns_read, find_label_file
from resnext.data.labels.labelled_rows import about_reading, classes_of_rows, examples_of_rows, relabelled, together
from resnext.data.labels.named_images import Paths, images_below, relative
from resnext.data.labels.tables import Row, Table, read_column, read_table
from resnext.data.labels.unused import check_agrees, unused_tables
from resnext.data.layout import (
    IMAGES,
    LAYOUTS,
    Layout,
    below,
    count_left_out,
    images_of_flat_part,
    kinds_in_words,
    layout_of,
    may_be_data,
    unwrapped,
)
from resnext.data.parts import PARTS
from resnext.data.seen import Seen
from resnext.data.splits import Splits
from resnext.errors import ArgumentError, DataError, counted, listed, printable
from resnext.files import similar, user_path
from resnext.images import dicom, heif

OF_DIGITS = ("mnist", "fashion_mnist", "fashion-mnist", "usps", "optdigits")  # sets that are not built in
HOW_TO_READ = ((heif.HEIF_SUFFIXES, heif.HOW), (dicom.DICOM_SUFFIXES, dicom.HOW))


class Pool(NamedTuple):
    """The training images before some are held out; paths and groups are in the same order."""

    train: Examples
    paths: Sequence[str]
    groups: Sequence[str] | None
    others: Mapping[str, Examples]  # "validation" and "test", if the data has them


@dataclass(frozen=True)
class DataSource:
    """The source that a DATA argument names: a folder, an archive or a built-in data set, opened once.

    Args:
        name: name that does not depend on the current folder: that of a built-in data set, or the absolute path.
        location: path of the folder, the archive or the table; None for a built-in data set without a local copy.
        layout: layout found there, or None likewise.
        above: files that may hold labels, in the folders above the one that is read.
    """

    name: str
    location: Path | None = None
    layout: Layout | None = None
    above: tuple[str, ...] = ()

    def __str__(self) -> str:
        return printable(self.location or self.name)

    @property
    def title(self) -> str:
        """A short name for run folders: that of the folder, or of the file without its suffix."""
        path = self.location
        if path is None or path.is_dir():
            return Path(self.name).name or "data"
        return path.name.removesuffix(archive_suffix(path) or path.suffix) or "data"

    @functools.cached_property
    def table(self) -> Table:
        """The table, if there is one."""
        layout = self.layout
        if layout is None or layout.table is None:
            return Table([], "", "")
        others = (*layout.others.values(), layout.unlabelled_test)
        return read_table(layout.table, layout.root, [layout.train, *filter(None, others)])

    def contains(self, path: Path) -> bool:
        """Return whether a path is inside the folder whose images are read; a table lists its own."""
        folder = self.location if self.location and self.location.is_dir() else None
        return folder is not None and path.resolve().is_relative_to(folder.resolve())

    def left_out(self) -> list[str]:
        """Return descriptions of the unused data: files that are not images, and parts without labels."""
        layout = self.layout
        if layout is None:
            return []
        lines, files = [], count_left_out(layout)
        if layout.table:
            files += Counter({f"without a label in {Path(str(layout.table)).name}": self._count_unnamed(layout)})
        if files:
            how = "; ".join(words for suffixes, words in HOW_TO_READ if any(kind in suffixes for kind in files))
            lines.append(f"left out: {kinds_in_words(files)}{f' ({how})' if how else ''}")
        beside = [(folder, len(images_below(folder))) for folder in self._beside()]
        lines += [f"not used: {printable(folder)}, with {counted(count, 'image')}" for folder, count in beside if count]
        lines += [f"not used: {printable(table)}, a table" for table in self._unused_tables]
        if other := self._other_files(layout, [folder for folder, count in beside if not count]):
            lines.append(f"not used: {listed(other)}, beside the images")
        if self.table.unused:
            columns = "column" if len(self.table.unused) == 1 else "columns"
            lines.append(f"not used: the {columns} {listed(self.table.unused)} of {printable(layout.table)}")
        if not layout.table and (inner := folders_in_classes(layout.train)) and {*inner} - {*IMAGES}:
            some = " and ".join(map(printable, inner[:2]))
            lines.append(f"folders inside the class folders, such as {some}, are not used as classes")
        if layout.unlabelled_test and not any(row.part == "test" for row in self.table.rows):
            lines.append(
                f"{printable(layout.unlabelled_test)}: not used, because it has neither class folders nor a label file"
            )
        return lines

    @property
    def labels_from(self) -> str:
        """Where the labels come from, in words: those of the training images first."""
        parts = [] if self.layout is None else [part for part in self.layout.others if part in self._label_files]
        return "; ".join([self.origin("train"), *(f"{part}: {self.origin(part)}" for part in parts)])

    @property
    def about_labels(self) -> list[str]:
        """Lines on how labels are read, unless each image has one."""
        return about_reading(self.table)

    def origin(self, part: str) -> str:
        """Return where the labels of "train", "validation" or "test" come from, in words."""
        layout = self.layout
        if layout is None:
            return f"built into {self.name}"
        if layout.table and (part == "train" or any(row.part == part for row in self.table.rows)):
            parts = f"; parts: column {printable(self.table.parts)}" if self.table.parts else ""
            if not parts and any(row.part != "train" for row in self.table.rows):
                parts = "; parts: the folders of the images"
            name = printable(PurePosixPath(str(layout.table)).name)
            return f"{name}, columns {printable(self.table.files)} and {printable(self.table.labels)}{parts}"
        if file := self._label_files.get(part):
            flat = images_of_flat_part(layout.others[part])
            columns = columns_read(file, [*shown(flat)] if flat else [])
            named = f", columns {' and '.join(map(printable, columns))}" if columns else ""
            return printable(PurePosixPath(str(file)).name) + named
        return f"the folders in {printable(layout.parts.get(part, layout.root))}"

    @property
    def evaluated(self) -> str:
        """The part on which a network is evaluated that was not trained on this data."""
        used = {*(self.layout.parts if self.layout else ()), *(row.part for row in self.table.rows)}
        return next((part for part in ("test", "validation") if part in used), "train")

    @property
    def _is_table(self) -> bool:
        return self.location is not None and is_table(self.location.name) and not self.location.is_dir()

    def _beside(self) -> list[Folder]:
        """Return the folders beside the parts: nothing in them is read."""
        layout = self.layout
        if layout is None or self._is_table or ("train" not in layout.parts and not layout.table):
            return []  # beside a table that was passed may be anything
        used = {str(part) for part in (*layout.parts.values(), layout.unlabelled_test) if part}
        used |= {str(Path(str(row.image)).parent) for row in self.table.rows}
        folders = [folder for folder in shown(layout.root).values() if folder]
        return [folder for folder in folders if not any(f"{part}/".startswith(f"{folder}/") for part in used)]

    @functools.cached_property
    def _unused_tables(self) -> list[Path | Member]:
        """The tables with labels that are not read."""
        layout = self.layout
        if layout is None:
            return []
        folders = {str(folder): folder for folder in (layout.root, *layout.parts.values())}
        used = {str(file) for file in (layout.table, *self._label_files.values())}
        return unused_tables([*folders.values()], used)

    @functools.cached_property
    def _label_files(self) -> dict[str, Path | Member]:
        """The files that label the images of parts without class folders, by part."""
        layout = self.layout
        if layout is None:
            return {}
        by_table = {row.part for row in self.table.rows}
        flat = {
            name: part for name, part in layout.others.items() if images_of_flat_part(part) and name not in by_table
        }
        return {name: find_label_file(part, [layout.root]) for name, part in flat.items()}

    def _other_files(self, layout: Layout, without_images: Sequence[Folder]) -> list[str]:
        """Return the names of files beside the images that may hold labels or parts, apart from tables of labels.

        Args:
            layout: layout of the data.
            without_images: folders beside the parts that have no images, such as annotations/.
        """
        if self._is_table:
            return []
        used = {str(file) for file in (layout.table, *self._label_files.values(), *self._unused_tables)}
        folders = {str(folder): folder for folder in (layout.root, *layout.parts.values(), *without_images)}
        files = [
            folder.file(name)
            for folder in folders.values()
            for name, entry in shown(folder).items()
            if entry is None and may_be_data(name)
        ]
        names = [str(file).removeprefix(f"{layout.root}/") for file in files if str(file) not in used]
        return [*self.above, *names]

    def _check_unused_tables(self, layout: Layout, part: str, examples: Examples) -> None:
        """Raise DataError if a table that is not read labels the images of a part otherwise."""
        if self._unused_tables and examples.shares is None and not is_table(str(self.location)):
            pairs = zip(examples.images, examples.labels.tolist(), strict=True)
            labels = {relative(image, layout.root): examples.classes[label] for image, label in pairs}
            read = self.origin(part)
            for table in self._unused_tables:
                check_agrees(table, labels, part, read)

    def splits(
        self,
        holdout: Holdout = Holdout(),  # noqa: B008 - frozen
        seen: Seen | None = None,
        held_out: Sequence[str] = (),
        classes: Sequence[str] = (),
    ) -> Splits:
        """Return the parts to train, validate and test on. The classes are sorted by name, unless they are chosen.

        If only one of `test/` and `val/` exists, it serves as both. If neither exists, images are drawn for them; the
        draw depends only on `holdout`, the sorted file names, what was seen before and which files are copies.

        Args:
            holdout: how they are drawn.
            seen: images that the network was trained on before, which are not tested on.
            held_out: paths of the images that were drawn before, to hold out the same; empty: draw them.
            classes: classes to keep, in this order; empty: all.

        Raises:
            ArgumentError: the data has test images, and `holdout` asks for different ones.
            DataError: the data cannot be used; the message lists the layouts that can.
        """
        pool = self._all_images(holdout)
        if pool is None:
            self._check_holdout(holdout, has_others=True)
            return splits_of_classes(load_builtin(self.name), classes, self) if classes else load_builtin(self.name)
        if classes:
            pool = _pool_of_classes(pool, classes, self)
        self._check_holdout(holdout, has_others=bool(pool.others))
        self._check_pool(pool, holdout)
        return _splits_of_pool(pool, holdout, seen, held_out)

    def _all_images(self, holdout: Holdout = Holdout()) -> Pool | None:  # noqa: B008 - frozen
        """Return the images before some are held out; None for a built-in data set without a local copy."""
        return None if self.layout is None else self._pool(self.layout, holdout)

    def _check_pool(self, pool: Pool, holdout: Holdout) -> None:
        """Raise DataError if the images can't be trained on, or a table that is not read labels them otherwise."""
        if len(pool.train.classes) < 2:
            only = "".join(pool.train.classes)
            raise DataError(f"{self} has only one class, {only!r}; training needs two or more{self._inside()}")
        if layout := self.layout:
            for part, examples in {"train": pool.train, **pool.others}.items():
                self._check_unused_tables(layout, part, examples)

    @property
    def _has_training_images(self) -> bool:
        layout = self.layout
        return layout is not None and bool(layout.table or "train" in layout.parts or not layout.parts)

    def column(self, name: str, examples: Examples) -> list[str]:
        """Return the value of a column of the data's table for each image; "" for one that the table does not name.

        Raises:
            DataError: the labels are not in a table, or it has no such column.
        """
        layout = self.layout
        if layout is None or layout.table is None:
            raise DataError(f"--by needs a table with the column {printable(name)}, but {self} has none")
        folders = [layout.train, *filter(None, (*layout.others.values(), layout.unlabelled_test))]
        values = read_column(layout.table, layout.root, folders, name)
        return [values.get(relative(image, layout.root), "") for image in examples.images]

    def count(self) -> int:
        """Return the number of images in all parts."""
        pool = self._all_images()
        return 0 if pool is None else len(pool.train) + sum(map(len, pool.others.values()))

    def everything(self, classes: Sequence[str]) -> Examples:
        """Return the images of all parts, labelled by `classes`; of a built-in data set only its test part.

        Raises:
            DataError: a class is not in `classes`.
        """
        layout = self.layout
        if layout is None or not self._has_training_images:
            return self.examples(classes)
        pool = self._pool(layout, Holdout())
        return together([relabelled(part, classes, self) for part in (pool.train, *pool.others.values())])

    def examples_of_chosen(self, classes: Sequence[str]) -> tuple[Examples, int]:
        """Return what `examples` does for a training that chose its classes, and the number of images of others."""
        layout = self.layout
        if layout is None:
            test = load_builtin(self.name).test
        elif self._has_training_images:
            pool = self._pool(layout, Holdout())
            test = pool.others.get(self.evaluated, pool.train)
        else:
            return self.examples(classes), 0
        examples, kept = of_classes(test, classes, self)
        return examples, len(test) - len(kept)

    def examples(self, classes: Sequence[str]) -> Examples:
        """Return the examples for evaluating a trained network, labelled by its own `classes`.

        They come from `test/` if it exists, else from `val/`, else from the class folders; in a built-in data set, from
        its test part. Class names match in any Unicode normal form.

        Raises:
            DataError: there are no images, or a class is not in `classes`.
        """
        layout = self.layout
        if layout is None:
            return relabelled(load_builtin(self.name).test, classes, self.name)
        by_part = _rows_by_part(layout.table, self.table.rows)
        name = self.evaluated
        if name in by_part:
            examples = examples_of_rows(self.table, by_part[name], classes, layout.table, classes)
        elif set(layout.parts) == {"train"}:
            raise DataError(f"{self} has train but neither test nor val; to evaluate on it pass {layout.train}")
        else:
            examples = labelled(layout.parts.get(name) or layout.root, layout.root, classes)
        self._check_unused_tables(layout, name, examples)
        return examples

    def held_out(self, paths: Sequence[str], classes: Sequence[str]) -> tuple[Examples, list[str]] | None:
        """Return the images that an earlier `splits` drew for testing, and the names of those that are missing.

        Return None if the data has images for testing now.
        """
        layout = self.layout
        if layout is None or layout.others:
            return None
        folder = layout.root if layout.table else layout.train
        rows = {composed(row.path): row for row in self.table.rows}
        found_at = Paths(folder)
        found = {path: found_at.find(path) for path in paths if not layout.table or composed(path) in rows}
        missing = [f"{folder}/{path}" for path in paths if not found.get(path)]
        kept = {path: file for path, file in found.items() if file}
        if layout.table:
            named = [rows[composed(path)] for path in kept]
            return examples_of_rows(self.table, named, classes, layout.root, classes), missing
        labels = labels_of([composed(path).split("/")[0] for path in kept], classes, layout.root)
        return Examples([*kept.values()], labels, tuple(classes)), missing

    def _inside(self) -> str:
        """Return advice where the only class folder has folders, which may be the classes."""
        layout = self.layout
        folders = [folder for folder in shown(layout.train).values() if folder] if layout and not layout.table else []
        inside = len(folders) == 1 and any(shown(folders[0]).values())
        return f". If the folders in it are the classes, pass {printable(folders[0])}" if inside else ""

    def _check_holdout(self, holdout: Holdout, has_others: bool) -> None:
        """Raise ArgumentError if test images are to be drawn although there are some."""
        if has_others and holdout.is_given:
            raise ArgumentError(
                f"--held-out, --folds and --group-by draw images to test on, and {self} already has some. Leave them "
                "out, or pass only the images to train on."
            )

    def _pool(self, layout: Layout, holdout: Holdout) -> Pool:
        return self._pool_of_table(layout, holdout) if layout.table else _pool_of_folders(layout, holdout)

    def _pool_of_table(self, layout: Layout, holdout: Holdout) -> Pool:
        """Return the images that the table labels; parts beside it count if it has no splits."""
        table, by_part = layout.table, _rows_by_part(layout.table, self.table.rows)
        train = by_part.pop("train", [])
        if not train:
            raise DataError(
                f"{printable(table)} assigns no images to training; write a row `file,label` for each and, in a "
                "column split, train in some rows"
            )
        classes = classes_of_rows(self.table, train, table)
        others = {part: examples_of_rows(self.table, rows, classes, table) for part, rows in by_part.items()}
        examples = examples_of_rows(self.table, train, classes, table)
        beside = {part: folder for part, folder in layout.others.items() if part not in others}
        if beside and examples.shares is not None:
            folder = printable(next(iter(beside.values())))
            raise DataError(
                f"{printable(table)} has several labels, or shares, for an image, and {folder} has others. Name its "
                "images in the table, with a column split"
            )
        others |= {part: labelled(folder, layout.root, classes) for part, folder in beside.items()}
        _check_apart(table, [row.image for row in train], others)
        groups = [row.group or row.path for row in train] if any(row.group for row in self.table.rows) else None
        if groups and holdout.group_by:
            raise ArgumentError(f"--group-by: {printable(table)} already has a column of groups. Omit the option.")
        paths = [row.path for row in train]
        return Pool(examples, paths, groups or _groups(paths, holdout), others)

    def _count_unnamed(self, layout: Layout) -> int:
        """Return the number of images that the table does not name, in the folders of the images it names."""
        named = {PurePosixPath(row.path) for row in self.table.rows}
        folders = {path.parent: below(layout.root, path.parent.parts) for path in named}
        found = [
            path / name for path, folder in folders.items() if folder for name in shown(folder) if is_image_name(name)
        ]
        return sum(path not in named for path in found)


def open_data(data: str | Path, follow_links: bool = False) -> DataSource:
    """Open a folder, an archive or a built-in data set (pass "./digits" for a folder named digits).

    Args:
        data: path, or name of a built-in data set.
        follow_links: whether links on disk may lead out of the folder.

    Raises:
        DataError: the data does not exist, two of its folders are the same part, or the archive is damaged or hostile.
    """
    is_builtin = data in BUILTIN
    path = local_copy(str(data)) if is_builtin else user_path(data)
    if path is None:
        return DataSource(str(data))
    name = str(data) if is_builtin else str(path.resolve())
    if is_table(path.name) and path.is_file():
        return DataSource(name, path, layout_of(DiskFolder(path.parent, None if follow_links else path.parent), path))
    if path.is_dir():
        return _unwrapped_source(name, path, DiskFolder(path, None if follow_links else path))
    if path.is_file() and archive_suffix(path):
        return _unwrapped_source(name, path, read_archive(path))
    problem = "is neither a folder nor an archive" if path.exists() else "does not exist"
    hint = "" if path.exists() else similar(path, BUILTIN)
    if path.name.lower() in OF_DIGITS and not hint:
        hint = " Of handwritten digits, digits is built in."
    raise DataError(
        f"{printable(str(data))} {problem}.{hint} Pass a folder of images, an archive ({' '.join(ARCHIVES)}), a table "
        f"({' '.join(TABLES)}) or the name of a built-in data set: {', '.join(BUILTIN)}"
    )


def _unwrapped_source(name: str, path: Path, tree: Folder) -> DataSource:
    inner, above = tree, []
    while (inside := unwrapped(inner)) is not inner:
        above += [each for each, entry in shown(inner).items() if entry is None and may_be_data(each)]
        inner = inside
    return DataSource(name, path, layout_of(inner), tuple(above))


def _pool_of_folders(layout: Layout, holdout: Holdout) -> Pool:
    """Return the images of the class folders, and the parts beside them."""
    root, parts = layout.root, layout.parts
    if parts and "train" not in parts:
        others = [name for name, folder in shown(root).items() if folder and name.lower() not in PARTS]
        called = ", ".join(part.name for part in parts.values())
        hint = f". If {called} is a class, rename its folder, or move all classes into train/" if others else ""
        raise DataError(f"{printable(root)} has {called} but no train; training needs {LAYOUTS}{hint}")
    images = images_by_class(layout.train)
    train = examples_of_folders(images, tuple(images), root)
    paths = [relative(image, layout.train) for image in train.images]
    evaluated = {name: labelled(part, root, train.classes) for name, part in layout.others.items()}
    return Pool(train, paths, _groups(paths, holdout), evaluated)


def _about_copies(train: Examples, others: Mapping[str, Examples]) -> list[str]:
    """Return a line for each part that has copies of training images."""
    counts = {part: (copies_in(examples.images, train.images), len(examples)) for part, examples in others.items()}
    return [
        f"copies: {count:,} of the {images:,} {part} images have the same bytes as a training image, so the accuracy "
        "on them is too good; resnext check-data names them"
        for part, (count, images) in counts.items()
        if count
    ]


def _splits_of_pool(pool: Pool, holdout: Holdout, seen: Seen | None, held_out: Sequence[str]) -> Splits:
    """Return the parts of images; without parts to evaluate on, those that are drawn, or were drawn before."""
    parts = {name: pool.others[name] for name in ("validation", "test") if name in pool.others}
    if parts:
        kept = {name: seen.without_trained(name, part) if seen else (part, []) for name, part in parts.items()}
        others = {name: examples for name, (examples, _) in kept.items()}
        notes = [note for _, notes in kept.values() for note in notes] + _about_copies(pool.train, others)
        evaluated = [*others.values()]
        return Splits(pool.train, evaluated[0], evaluated[-1], notes=tuple(notes))
    if held_out:
        return splits_of(pool.train, pool.paths, held_out)
    return drawn_splits(pool.train, pool.paths, pool.groups, holdout, seen)


def _pool_of_classes(pool: Pool, classes: Sequence[str], where: object) -> Pool:
    """Return the images of some classes. Raises DataError if the data does not have one of them."""
    train, kept = of_classes(pool.train, classes, where)
    paths, groups = [pool.paths[i] for i in kept], pool.groups and [pool.groups[i] for i in kept]
    return Pool(train, paths, groups, {name: of_classes(part, classes, where)[0] for name, part in pool.others.items()})


def _check_apart(table: object, train: Sequence[Path | Member], others: Mapping[str, Examples]) -> None:
    """Raise DataError if an image of a table is in two parts: by the table, and by a folder."""
    part_of = {str(image): "train" for image in train}
    for part, examples in others.items():
        both = [str(image) for image in examples.images if part_of.setdefault(str(image), part) != part]
        if both:
            raise DataError(
                f"{counted(len(both), 'image')} would be in {part_of[both[0]]} by {printable(table)} and in {part} by "
                f"their folder, the first of them {printable(both[0])}. Write a column split, or move the folder away"
            )


def _groups(paths: Sequence[str], holdout: Holdout) -> list[str] | None:
    return groups_of(paths, holdout.group_by) if holdout.group_by else None


def _rows_by_part(table: object, rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Sort the rows into the parts of a data set; without splits, all are training images.

    Raises:
        DataError: a group is in two parts.
    """
    by_part: dict[str, list[Row]] = {}
    part_of: dict[str, str] = {}
    for row in rows:
        by_part.setdefault(row.part, []).append(row)
        if row.group and part_of.setdefault(row.group, row.part) != row.part:
            raise DataError(
                f"{printable(table)} has the group {printable(row.group)} in {part_of[row.group]} and in {row.part}; a "
                "group must be in one part only"
            )
    return by_part
