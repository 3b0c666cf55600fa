"""Export to LiteRT (TensorFlow Lite): one .tflite file, for phones and small computers."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from pathlib import Path

from resnext.backend import silent
from resnext.engines.description import Description
from resnext.engines.engine import check_installed
from resnext.engines.litert import DESCRIPTION
from resnext.exporting import to_saved_model
from resnext.exporting.formats import LABELS
from resnext.exporting.network import Export
from resnext.exporting.preconditions import labels_text


def write(export: Export, path: Path) -> Path:
    """Write a trained network, and return the file.

    The description and the labels are in a zip archive at the end of the file, like the files of TensorFlow Lite's own
    metadata. Programs that do not know it see only the network.

    Raises:
        MissingPackageError: ai-edge-litert is not installed.
    """
    check_installed("ai_edge_litert", "export to litert")
    import tensorflow as tf

    folder = path.with_name("saved_model")
    to_saved_model.write(export, folder)
    with silent():
        content = tf.lite.TFLiteConverter.from_saved_model(str(folder)).convert()
    shutil.rmtree(folder)
    path.write_bytes(content + _archive(export.description, content))
    return path


def _archive(description: Description, network: bytes) -> bytes:
    """Return a zip archive with the description of the file and its network, and the classes."""
    files = {
        DESCRIPTION: json.dumps(description.to_metadata(network), ensure_ascii=False),
        LABELS: labels_text(description.classes).decode(),
    }
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text)  # without the time, so that equal files have equal bytes
    return content.getvalue()
