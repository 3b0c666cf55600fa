"""Copies of images, sorted into folders by their answers."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from pathlib import Path

from resnext.data.folders import Member
from resnext.errors import OutputError, one_line, printable
from resnext.files import write_atomically
from resnext.inference.evaluation_files import new_folder
from resnext.inference.predict import Prediction


class SortedCopies:
    """Copies images into a folder for each answer: a class, or "unknown"; none is moved or changed.

    Args:
        folder: new or empty folder; None copies nothing.

    Raises:
        ArgumentError: the folder has files already, or can't be written to.
    """

    def __init__(self, folder: str | Path | None):
        self.folder = None if folder is None else new_folder(folder, "--copy-to")
        self.names: Counter[Path] = Counter()
        self.folders: dict[str, Path] = {}

    def write(self, prediction: Prediction) -> None:
        """Copy an image, of several labels to each; one that can't be read has no answer, and is left out."""
        if self.folder is None or prediction.answer is None or prediction.source is None:
            return
        for answer in prediction.labels or (prediction.answer,):
            self._copy(prediction.source, self._folder_of(self.folder, answer))

    def _copy(self, source: Path | Member, folder: Path) -> None:
        path = self._free(folder / Path(str(source)).name)
        try:
            path.parent.mkdir(exist_ok=True)
            if isinstance(source, Path):
                shutil.copy2(source, path)
            else:
                write_atomically(path, source.open().read())
        except OSError as error:
            raise OutputError(
                f"{printable(path)}: can't be written ({one_line(error)}). Choose another --copy-to."
            ) from error

    def _folder_of(self, folder: Path, answer: str) -> Path:
        """Return the folder of an answer; two whose folders would have one name get different ones."""
        if answer not in self.folders:
            self.folders[answer] = self._free(folder / folder_name(answer))
        return self.folders[answer]

    def _free(self, path: Path) -> Path:
        """Return the path, with a number if another image has it; names that differ in case count as the same."""
        key = path.with_name(path.name.casefold())
        self.names[key] += 1
        if self.names[key] == 1:
            return path
        return self._free(path.with_name(f"{path.stem} ({self.names[key]}){path.suffix}"))


def folder_name(name: str) -> str:
    """Return the name of a class as that of a folder: a label of a table may have any characters.

    >>> folder_name("../cat: large"), folder_name("..")
    ('.._cat_ large', '_')
    """
    plain = re.sub(r'[/\\:*?"<>|\x00-\x1f]', "_", name).encode(errors="replace")[:200].decode(errors="ignore")
    return plain.rstrip(" .") or "_"
