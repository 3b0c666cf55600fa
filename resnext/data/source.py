"""The sources of labelled images that a DATA argument can name.

DATA is the name of a built-in data set (`resnext.data.builtin`), or a folder or tar archive (`resnext.data.archives`):

    DATA/train/<class>/**   alone, or with DATA/test/, DATA/val/ or both beside it
    DATA/<class>/**         one sixth of each class is held out for testing
    DATA.csv, or a CSV file beside images that are in no class folders (`resnext.data.tables`)

`test/` and `val/` contain class folders as well, or only images and a label file (`resnext.data.label_files`), as in
ImageNet; Kaggle's copy of ImageNet is accepted unchanged. Hidden files and files without an image suffix are ignored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from resnext.data.archive_members import Member
from resnext.data.archives import ARCHIVES, archive_suffix, read_archive
from resnext.data.builtin import BUILTIN, load_builtin, local_copy
from resnext.data.class_folders import labelled, labels_of
from resnext.data.drawing import Draw
from resnext.data.examples import Examples, Splits
from resnext.data.folders import DiskFolder, Folder
from resnext.data.layout import all_parts, parts_of, unlabelled_test, unwrapped
from resnext.data.left_out import count_left_out
from resnext.data.pools import count_unnamed, drawn_splits, examples_of_table, pool_of, table_of
from resnext.data.tables import read_table
from resnext.errors import ArgumentError, DataError, printable
from resnext.files import user_path
from resnext.images.heif import HEIF_SUFFIXES, HOW

TABLES = (".csv", ".tsv")


@dataclass(frozen=True)
class DataSource:
    """The source that a DATA argument names: a folder, an archive or a built-in data set, opened once.

    Args:
        name: name that does not depend on the current folder: that of a built-in data set, or the absolute path.
        root: folder or archive; None for a built-in data set without a local copy.
        location: path of the root.
        table: CSV file of the training images, where DATA names it.
    """

    name: str
    root: Folder | None = None
    location: Path | None = None
    table: Path | Member | None = None

    def __str__(self) -> str:
        return printable(self.table or self.location or self.name)

    @property
    def title(self) -> str:
        """A short name for run folders: that of the folder, or of the file without its suffix."""
        path = self.table or self.location
        if not isinstance(path, Path) or path.is_dir():
            return Path(self.name).name or "data"
        return path.name.removesuffix(archive_suffix(path) or path.suffix) or "data"

    def contains(self, path: Path) -> bool:
        """Return whether a path is inside the folder whose images are read; a table names its own."""
        return (
            self.table is None and self.location is not None and path.resolve().is_relative_to(self.location.resolve())
        )

    def left_out(self) -> list[str]:
        """Return what of the data is not used, in words: files that are no images, and parts without labels."""
        if self.root is None:
            return []
        parts = all_parts(self.root)
        said, files = [], count_left_out(self.root, [*parts.values()])
        if table := table_of(self.root, parts, self.table):
            files += Counter({f"without a label in {Path(str(table)).name}": count_unnamed(table, self.root, parts)})
        if files:
            how = f" ({HOW})" if any(kind in HEIF_SUFFIXES for kind in files) else ""
            said.append("left out: " + ", ".join(f"{count:,} {kind}" for kind, count in files.most_common()) + how)
        if part := unlabelled_test(self.root, parts):
            said.append(f"{part}: not used, for it has neither class folders nor a label file")
        return said

    def splits(self, draw: Draw = Draw()) -> Splits:  # noqa: B008 - frozen
        """Return the parts to train, validate and test on. The classes are sorted by name.

        If only one of `test/` and `val/` exists, it serves as both. If neither exists, images are drawn for them, which
        depends only on `draw` and the sorted file names.

        Raises:
            ArgumentError: the data has images to test on, and `draw` asks for others.
            DataError: the data cannot be used; the message lists the layouts that can.
        """
        if self.root is None:
            self._check_draw(draw, has_others=True)
            return load_builtin(self.name)
        pool = pool_of(self.root, self.table, draw.group_by)
        self._check_draw(draw, has_others=bool(pool.others))
        if len(pool.train.classes) < 2:
            raise DataError(f"{self} has one class only, {''.join(pool.train.classes)!r}; training needs two or more")
        others = [pool.others[name] for name in ("validation", "test") if name in pool.others]
        return Splits(pool.train, others[0], others[-1]) if others else drawn_splits(pool, draw)

    def _check_draw(self, draw: Draw, has_others: bool) -> None:
        if has_others and draw.is_given:
            raise ArgumentError(
                f"--held-out, --folds and --group-by draw images to test on, and {self} has some already. Leave them "
                "out, or pass only the images to train on."
            )

    def examples(self, classes: Sequence[str]) -> Examples:
        """Return the examples to evaluate a trained network on, labelled by its own `classes`.

        They come from `test/` if it exists, else from `val/`, else from the class folders; for a built-in data set they
        are its test part. Class names match in any Unicode normal form.

        Raises:
            DataError: there are no images, or a class is not in `classes`.
        """
        if self.root is None:
            test = load_builtin(self.name).test
            return Examples(test.images, labels_of(test.classes, classes, self.name)[test.labels], tuple(classes))
        parts = parts_of(self.root)
        if table := table_of(self.root, parts, self.table):
            return examples_of_table(table, self.root, parts, classes)
        if set(parts) == {"train"}:
            raise DataError(f"{self} has train but neither test nor val; to evaluate on it pass {parts['train']}")
        return labelled(parts.get("test") or parts.get("validation") or self.root, self.root, classes)

    def held_out(self, paths: Sequence[str], classes: Sequence[str]) -> tuple[Examples, list[str]] | None:
        """Return the images that an earlier `splits` drew for testing, and the names of those that are gone.

        Return None if the data has images for testing now.
        """
        parts = parts_of(self.root) if self.root else {}
        if self.root is None or parts.keys() - {"train"}:
            return None
        folder = parts.get("train", self.root)
        if table := table_of(self.root, parts, self.table):
            folder, label_of = self.root, {row.path: row.label for row in read_table(table, self.root, folder)}
        else:
            label_of = {path: path.split("/")[0] for path in paths}
        found = {path: folder.find(path) if path in label_of else None for path in paths}
        labels = labels_of([label_of[path] for path, file in found.items() if file], classes, self.root)
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
    if path.suffix.lower() in TABLES and path.is_file():
        return DataSource(name, DiskFolder(path.parent, None if follow_links else path.parent), path.parent, path)
    if path.is_dir():
        return DataSource(name, unwrapped(DiskFolder(path, None if follow_links else path)), path)
    if path.is_file() and archive_suffix(path):
        return DataSource(name, unwrapped(read_archive(path)), path)
    problem = "is neither a folder nor an archive" if path.exists() else "does not exist"
    raise DataError(
        f"{printable(path)} {problem}; pass a folder of images, an archive ({' '.join(ARCHIVES)}), a table "
        f"({' '.join(TABLES)}) or the name of a built-in data set: {', '.join(BUILTIN)}"
    )
