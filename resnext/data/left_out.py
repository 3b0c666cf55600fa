"""What lies in the class folders and is not used."""

from __future__ import annotations

from collections import Counter
from pathlib import PurePosixPath

from resnext.data.folders import DROPPINGS, Folder, is_image_name


def count_left_out(folder: Folder, is_top: bool = False) -> Counter[str]:
    """Count the files below a folder that are not used, by kind; those beside the class folders may be anything."""
    counts = Counter()
    for name, entry in folder.entries().items():
        is_dropping = name.lower() in DROPPINGS
        if entry and entry.is_link and not is_top:
            counts["links to folders"] += 1
        elif entry and not entry.is_link:
            counts += Counter({f"in {name}": _files(entry)}) if is_dropping else count_left_out(entry)
        elif entry is None and not is_top and (is_dropping or not is_image_name(name)):
            counts[name if is_dropping else PurePosixPath(name).suffix.lower() or "without a suffix"] += 1
    return counts


def _files(folder: Folder) -> int:
    return sum(_files(entry) if entry else 1 for entry in folder.entries().values() if not (entry and entry.is_link))
