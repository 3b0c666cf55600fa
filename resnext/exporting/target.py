"""Where an export goes, and whether it can: its format, its place, and the backend that writes it."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from resnext.backend import import_keras
from resnext.engines.engine import check_installed
from resnext.errors import ArgumentError, printable
from resnext.exporting.options import ANY_DTYPE, BACKEND_OF, LABELS, SUFFIXES, ExportFormat, ExportOptions, format_of
from resnext.inference.model import Model


def chosen_format(path: Path, options: ExportOptions) -> str:
    """Return the format that is asked for, or that the suffix names. Raises ArgumentError."""
    if not path.name:
        raise ArgumentError("`out` is empty. Pass a file to write, such as network.onnx, or a new folder.")
    chosen = options.format or format_of(path)
    if chosen is None:
        raise ArgumentError(
            f"{path}: the suffix names no format. Use {', '.join(SUFFIXES.values())}, or pass --format for a folder."
        )
    if chosen not in get_args(ExportFormat):
        raise ArgumentError(f"`format` must be one of {', '.join(get_args(ExportFormat))}. Received: {chosen!r}")
    if chosen in SUFFIXES and path.suffix.lower() != SUFFIXES[chosen]:
        raise ArgumentError(f"{path}: {chosen} files end in {SUFFIXES[chosen]}. Choose such a name.")
    if chosen not in ANY_DTYPE and options.dtype != "float32":
        raise ArgumentError(f"{chosen} is in float32. Leave --dtype out, or pass --format {', '.join(ANY_DTYPE)}.")
    if chosen == "bundle" and (options.maps or options.normalisation == "outside"):
        raise ArgumentError(
            "a bundle has the weights as they are, for other programs to build the network. Leave out --maps and "
            "--normalisation."
        )
    return chosen


def check_target(path: Path, format: str, model: Model) -> None:
    """Refuse a place that cannot be written to, or that has files of another network. Raises ArgumentError."""
    if wrong := [name for name in model.classes if len(name.splitlines()) != 1]:
        raise ArgumentError(
            f"the class {wrong[0]!r} has more than one line, and {LABELS} has a class on each. Rename the class."
        )
    if format not in SUFFIXES:
        if path.exists() or not path.parent.is_dir():
            reason = "exists already" if path.exists() else "the folder that it is to be in does not exist"
            raise ArgumentError(f"{printable(path)}: {reason}. Pass a new folder.")
        return
    if path.is_dir() or not path.parent.is_dir():
        reason = "is a folder" if path.is_dir() else "its folder does not exist"
        raise ArgumentError(f"{printable(path)}: {reason}. Pass a file in an existing folder.")
    weights = path.with_suffix(".bin")
    if format == "openvino" and weights.exists() and not path.exists():
        raise ArgumentError(f"{printable(weights)}: would be replaced, and is of something else. Choose another name.")
    labels = path.with_name(LABELS)
    if labels.exists() and labels.read_bytes() != labels_of(model.classes):
        raise ArgumentError(f"{printable(labels)}: belongs to a network of other classes. Choose another folder.")


def check_backend(format: str) -> None:
    """Refuse a format that another backend writes than the one that Keras has. Raises ArgumentError."""
    needed = BACKEND_OF.get(format)
    if needed is None:
        return
    check_installed(needed, f"export to {format}")
    import_keras()
    import keras

    if keras.backend.backend() != needed:
        raise ArgumentError(
            f"{format} is written by {needed}, and Keras computes with {keras.backend.backend()} here. Use the command "
            f"`resnext export`, or set KERAS_BACKEND={needed}."
        )


def labels_of(classes: tuple[str, ...]) -> bytes:
    """Return the content of labels.txt: a class on each line."""
    return "".join(f"{name}\n" for name in classes).encode()


def place_of_labels(format: str, written: Path, network: Path) -> Path:
    """Return the path of labels.txt: beside a file, or in the folder of a network.

    Args:
        format: format of the export.
        written: file or folder that was written.
        network: the file or folder in it that a runtime opens.
    """
    folders = {"saved_model": written, "bundle": written, "triton": network.parents[1], "ovms": network.parents[1]}
    return folders.get(format, written.parent) / LABELS
