"""Images that stand where a model is expected."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from resnext.data.archives import archive_suffix
from resnext.data.folders import is_table
from resnext.errors import ArgumentError, printable
from resnext.files import user_path
from resnext.images.decode import IMAGE_SUFFIXES
from resnext.runs.run import CONFIG, is_run

MODELS = (".safetensors", ".pth", ".onnx", ".xml", ".tflite", ".h5")  # how their files end
SEARCHED = 2_000  # files of a folder


def check_order(command: str | None, model: str | Path, others: Sequence[str] = ()) -> None:
    """Refuse images that stand where a model is expected.

    Args:
        command: the words before the model, if there are any.
        model: what was passed as the model.
        others: the words after it.

    Raises:
        ArgumentError: it is an image, or a folder, table or archive of images.
    """
    path = user_path(model)
    if run := None if is_run(path) or _has_weights(path) else next(path.glob(f"*/{CONFIG}"), None):
        raise ArgumentError(f"{printable(model)}: a folder of runs. Pass one of them, such as {printable(run.parent)}")
    kind = _kind(path)
    if kind is None:
        return
    if command is None:
        raise ArgumentError(
            f"{printable(model)}: {kind}, not a model. Pass a model, such as {_newest_run('a run folder')}"
        )
    swapped = next((each for each in others if _is_model(user_path(each))), None)
    words = [each for each in others if each != swapped]
    example = " ".join(shlex.quote(str(each)) for each in (swapped or _newest_run(), model, *words))
    raise ArgumentError(f"{printable(model)}: {kind}, not a model. The model comes first: {command} {example}")


def _is_model(path: Path) -> bool:
    return is_run(path) or (path.is_file() and path.suffix in MODELS)


def _kind(path: Path) -> str | None:
    if path.suffix.lower() in IMAGE_SUFFIXES and not path.is_dir():
        return "an image"
    if path.is_file():
        return "a table" if is_table(path.name) else "an archive" if archive_suffix(path) else None
    if path.is_dir():
        files = islice(path.rglob("*"), SEARCHED)
        if not _has_weights(path) and any(file.suffix.lower() in IMAGE_SUFFIXES for file in files):
            return "a folder of images"
    return None


def _has_weights(path: Path) -> bool:
    return any(path.glob("*.safetensors*")) or any(path.glob("*.bin"))


def _newest_run(otherwise: str = "MODEL") -> str:
    found = sorted(Path("runs").glob(f"*/{CONFIG}"), key=lambda file: file.stat().st_mtime)
    return str(found[-1].parent) if found else otherwise
