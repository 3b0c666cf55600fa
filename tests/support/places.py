"""Where things lie: the repository, the data sets if they are there, and folders that one worker makes for all."""

import os
import shutil
from pathlib import Path

from filelock import FileLock

REPOSITORY = Path(__file__).parents[2]
DATA = Path(os.environ.get("RESNEXT_DATA", REPOSITORY.parent / "shared" / "data"))


def made_once(tmp_path_factory, name: str, make) -> Path:
    """A folder that one worker makes for all of them: `make` gets the path. Tests only read it."""
    folder = tmp_path_factory.getbasetemp()
    folder = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / name
    with FileLock(f"{folder}.lock"):
        if not (folder / "made").exists():
            shutil.rmtree(folder, ignore_errors=True)
            make(folder)
            (folder / "made").touch()
    return folder
