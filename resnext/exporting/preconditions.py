"""The preconditions of an export: its format, its target, and the backend that writes it."""

from __future__ import annotations

from pathlib import Path

from resnext.backend import import_keras
from resnext.engines.engine import check_installed
from resnext.errors import ArgumentError, OutputError, printable
from resnext.exporting.formats import FORMATS, LABELS, ExportFormat, format_of
from resnext.exporting.options import ExportOptions
from resnext.inference.model import Model
from resnext.weights.convert import fits_timm

ANY_SIZE = ("onnx", "openvino")  # formats whose files may take images of any size


def chosen_format(path: Path, options: ExportOptions) -> ExportFormat:
    """Return the format that is requested or that the suffix names. Raises ArgumentError."""
    if not path.name:
        raise ArgumentError("`out` is empty. Pass a file to write, such as network.onnx, or a new folder.")
    chosen = options.to or format_of(path)
    if chosen is None:
        raise ArgumentError(
            f"{path}: the suffix names no format. Use {', '.join(_suffixes())}, or pass --to for a folder."
        )
    if chosen not in FORMATS:
        raise ArgumentError(f"`format` must be one of {', '.join(FORMATS)}. Received: {chosen!r}")
    suffix = FORMATS[chosen].suffix
    if suffix and path.suffix.lower() != suffix:
        raise ArgumentError(f"{path}: {chosen} files end in {suffix}. Choose such a name.")
    if options.dtype != "float32" and not FORMATS[chosen].all_dtypes:
        others = ", ".join(name for name, known in FORMATS.items() if known.all_dtypes)
        raise ArgumentError(f"{chosen} is in float32. Leave --dtype out, or pass --to {others}.")
    if options.size and chosen not in ANY_SIZE:
        raise ArgumentError(
            f"{chosen} files take images of one size. Leave --size out, or export {' or '.join(ANY_SIZE)}."
        )
    if chosen == "bundle" and (options.maps or options.normalisation == "outside"):
        raise ArgumentError(
            "a bundle contains unchanged weights, from which other programs build the network. Leave out --maps and "
            "--normalisation."
        )
    return chosen


def check_size(model: Model, options: ExportOptions) -> None:
    """Refuse any size for a network whose classifier has weights for each position. Raises ArgumentError."""
    if options.size and model.variant.departures.keeps_positions:
        raise ArgumentError(f"{model.name}: its classifier has weights for each position. Leave --size any out.")


def check_target(path: Path, format: ExportFormat, model: Model) -> None:
    """Refuse a target that cannot be written to, or that has files of another network. Raises ArgumentError."""
    if format == "bundle":
        _check_bundle(model)
    if wrong := [name for name in model.classes if len(name.splitlines()) != 1]:
        raise ArgumentError(
            f"the class {wrong[0]!r} has more than one line, and {LABELS} has a class on each. Rename the class."
        )
    if FORMATS[format].suffix is None:
        if path.exists() or not path.parent.is_dir():
            reason = "exists already" if path.exists() else "its parent folder does not exist"
            raise OutputError(f"{printable(path)}: {reason}. Pass a new folder.")
        return
    if path.is_dir() or not path.parent.is_dir():
        reason = "is a folder" if path.is_dir() else "its folder does not exist"
        raise OutputError(f"{printable(path)}: {reason}. Pass a file in an existing folder.")
    weights = path.with_suffix(".bin")
    if format == "openvino" and weights.exists() and not path.exists():
        raise OutputError(
            f"{printable(weights)}: would be overwritten, but belongs to something else. Choose another name."
        )
    labels = path.with_name(LABELS)
    if labels.exists() and labels.read_bytes() != labels_text(model.classes):
        raise OutputError(f"{printable(labels)}: belongs to a network of other classes. Choose another folder.")


def _check_bundle(model: Model) -> None:
    """Refuse a model that timm could not load. Raises ArgumentError."""
    model.check_single("a bundle holds the weights of one")
    if not fits_timm(model.variant):
        raise ArgumentError(
            f"{model.variant.name}: timm has no such network, so it can't be a bundle. Use --to onnx, or "
            "`resnext convert`."
        )
    if (channels := model.preprocessing.channels) != "rgb":
        what = "are grey" if channels == "grey" else f"have {channels} channels"
        raise ArgumentError(f"{model.name}: its images {what}, which timm prepares otherwise. Use --to onnx.")


def check_backend(format: ExportFormat) -> None:
    """Refuse a format that needs a backend different from Keras's current one. Raises ArgumentError."""
    needed = FORMATS[format].backend
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


def labels_text(classes: tuple[str, ...]) -> bytes:
    """Return the content of labels.txt: a class on each line."""
    return "".join(f"{name}\n" for name in classes).encode()


def place_of_labels(format: ExportFormat, written: Path, network: Path) -> Path:
    """Return the path of labels.txt: beside a file, or in the folder of a network.

    Args:
        format: format of the export.
        written: file or folder that was written.
        network: file or folder in it that a runtime opens.
    """
    known = FORMATS[format]
    if known.is_repository:
        return network.parents[1] / LABELS
    return (written.parent if known.suffix else written) / LABELS


def _suffixes() -> list[str]:
    return [known.suffix for known in FORMATS.values() if known.suffix]
