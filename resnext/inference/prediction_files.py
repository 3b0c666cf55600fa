"""Predictions as rows of text or of a file, written as they arrive."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np

from resnext.ending import at_any_end
from resnext.errors import ArgumentError, OutputError, missing_package, printable
from resnext.files import user_path
from resnext.inference.csv_cells import CsvTable
from resnext.inference.options import PredictionFormat
from resnext.inference.predict import BATCH_SIZE, Prediction

BY_SUFFIX: dict[str, PredictionFormat] = {
    ".txt": "table",
    ".json": "json",
    ".jsonl": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
}
EMBEDDINGS = (".npy", ".parquet")
ROWS = 4_096  # rows of a Parquet file written at once


class Rows(Protocol):
    """A destination for predictions."""

    def write(self, prediction: Prediction) -> None: ...

    def close(self) -> None:
        """Write the remaining rows."""
        ...


@contextlib.contextmanager
def open_rows(form: PredictionFormat | None, out: str | Path | None, top: int) -> Iterator[Rows]:
    """Open the destination of predictions; however the writing ends, the file has all rows written so far.

    Args:
        form: format; by default from the suffix of `out`, or a table.
        out: new file; None for standard output.
        top: classes of each image.

    Raises:
        ArgumentError: the suffix names no format, or Parquet is requested on standard output.
        MissingPackageError: Parquet without pyarrow.
    """
    path = None if out is None else user_path(out)
    of_suffix = None if path is None else BY_SUFFIX.get(path.suffix.lower())
    if form and of_suffix and form != of_suffix:
        raise ArgumentError(
            f"{printable(path)}: a file of this name has the format {of_suffix}, and --format {form} was passed. Leave "
            "--format out, or choose another suffix."
        )
    form = form or ("table" if path is None else of_suffix)
    if form is None:
        raise ArgumentError(f"{path}: the suffix names no format. Use {', '.join(BY_SUFFIX)}, or pass --format.")
    if form == "parquet":
        if path is None:
            raise ArgumentError("--format parquet needs a file to write: pass --out FILE.parquet")
        rows = ParquetRows(path, _columns(top))
    else:
        text = sys.stdout if path is None else _new_text(path)
        kinds = {"table": TableRows, "json": JsonDocument, "jsonl": JsonRows, "csv": CsvRows}
        rows = kinds[form](text, top, is_own=path is not None)
    with at_any_end(rows.close):
        yield rows


def check_outputs(out: str | Path | None, embeddings: str | Path | None) -> None:
    """Refuse output files that cannot be written, that would be lost, or that are the same. Raises ArgumentError."""
    files = [user_path(out)] if out is not None else []
    if embeddings is not None:
        path = user_path(embeddings)
        if path.suffix not in EMBEDDINGS:
            raise ArgumentError(f"{printable(path)}: embeddings are written as .npy or .parquet. Choose such a name.")
        files += [path] if path.suffix == ".parquet" else [path, names_beside(path)]
    for number, path in enumerate(files):
        if path in files[:number]:
            raise ArgumentError(
                f"{printable(path)}: predictions and embeddings can't go to the same file, and beside a .npy the names "
                "go to a .csv. Choose another name for one of them."
            )
        if os.path.lexists(path) or not os.access(path.parent, os.W_OK):
            reason = "exists already" if os.path.lexists(path) else "its folder does not exist, or can't be written to"
            raise OutputError(f"{printable(path)}: {reason}. Pass a new file in a folder of yours.")


def names_beside(embeddings: Path) -> Path:
    """Return the file with the names of the images whose embeddings are in a .npy file."""
    return embeddings.with_suffix(".csv")


def _new_text(path: Path) -> IO[str]:
    return path.open("x", encoding="utf-8", newline="")


class _TextRows:
    """Base class of text rows: `top` classes per image, to standard output or to a file that the writer owns."""

    def __init__(self, text: IO[str], top: int, is_own: bool):
        self.text, self.top, self.is_own = text, top, is_own

    def close(self) -> None:
        if self.is_own:
            self.text.close()
        elif not self.text.closed:
            self.text.flush()


class TableRows(_TextRows):
    """Rows for people: columns as wide as the first rows need, and an error in place of the classes."""

    def __init__(self, text: IO[str], top: int, is_own: bool):
        super().__init__(text, top, is_own)
        self.waiting: list[tuple[str, list[str]]] | None = []
        self.widths: list[int] = []

    def write(self, prediction: Prediction) -> None:
        cells = [f"{100 * share:6.2f} % {printable(name)}" for name, share in prediction.classes]
        if prediction.error is not None:
            cells = [f"error: {printable(prediction.error)}"]
        elif not prediction.is_known or prediction.labels is not None:
            cells = [prediction.answer or "", *cells]
        row = printable(prediction.image), cells
        if self.waiting is None:
            self._print(*row)
        else:
            self.waiting.append(row)
            if len(self.waiting) == BATCH_SIZE:
                self._print_waiting()

    def close(self) -> None:
        self._print_waiting()
        super().close()

    def _print_waiting(self) -> None:
        rows, self.waiting = self.waiting or [], None
        lines = [[image, *([] if cells[0].startswith("error: ") else cells)] for image, cells in rows]
        columns = max(map(len, lines), default=0)
        self.widths = self.widths or [max(len(line[i]) for line in lines if len(line) > i) for i in range(columns)]
        for row in rows:
            self._print(*row)

    def _print(self, image: str, cells: list[str]) -> None:
        widths = [*self.widths, *[0] * len(cells)]
        line = "  ".join(cell.ljust(width) for cell, width in zip([image, *cells], widths, strict=False))
        self.text.write(line.rstrip() + "\n")


class JsonRows(_TextRows):
    """A JSON document on each line."""

    def write(self, prediction: Prediction) -> None:
        self.text.write(json.dumps(self.row(prediction)) + "\n")

    def row(self, prediction: Prediction) -> dict[str, Any]:
        """Return a prediction as it is written."""
        classes = [{"class": name, "probability": share} for name, share in prediction.classes]
        image, answer = valid_text(prediction.image), prediction.answer
        row = {"image": image, "class": answer, "classes": classes, "error": prediction.error}
        if prediction.labels is not None:
            row["labels"] = [*prediction.labels]
        return row


class JsonDocument(JsonRows):
    """One JSON document, {"predictions": [...]}, written as the rows arrive."""

    def __init__(self, text: IO[str], top: int, is_own: bool):
        super().__init__(text, top, is_own)
        self.count = 0
        text.write('{"predictions": [')

    def write(self, prediction: Prediction) -> None:
        self.text.write(",\n " if self.count else "\n ")
        self.text.write(json.dumps(self.row(prediction)))
        self.count += 1

    def close(self) -> None:
        if not self.text.closed:
            self.text.write("\n]}\n")
        super().close()


class CsvRows(_TextRows):
    """Comma-separated values: image, answer, then class and probability by rank, error."""

    def __init__(self, text: IO[str], top: int, is_own: bool):
        super().__init__(text, top, is_own)
        self.table = CsvTable(text, list(_columns(top)))

    def write(self, prediction: Prediction) -> None:
        row = _flat(prediction)
        self.table.write([row.get(name) for name in self.table.columns])


def _columns(top: int) -> dict[str, type]:
    columns: dict[str, type] = {"image": str, "answer": str}
    for place in range(1, top + 1):
        columns |= {f"class_{place}": str, f"probability_{place}": float}
    return {**columns, "error": str}


def _flat(prediction: Prediction) -> dict[str, Any]:
    """Return a prediction as one row without lists."""
    row: dict[str, Any] = {
        "image": valid_text(prediction.image),
        "answer": prediction.answer,
        "error": prediction.error,
    }
    for place, (name, share) in enumerate(prediction.classes, 1):
        row |= {f"class_{place}": name, f"probability_{place}": share}
    return row


class ParquetRows:
    """A Parquet file, written one group of rows after another."""

    def __init__(self, path: Path, columns: dict[str, type], embedding: int = 0):
        try:
            import pyarrow as arrow
            import pyarrow.parquet as parquet
        except ModuleNotFoundError as error:
            raise missing_package("writing Parquet", "pyarrow", "parquet") from error
        kinds = {str: arrow.string(), float: arrow.float32()}
        fields = [(name, kinds[kind]) for name, kind in columns.items()]
        fields += [("embedding", arrow.list_(arrow.float32(), embedding))] if embedding else []
        self.schema, self.waiting = arrow.schema(fields), []
        self.writer = parquet.ParquetWriter(path, self.schema)

    def write(self, prediction: Prediction) -> None:
        row = _flat(prediction)  # only the columns of the schema are written
        if prediction.embedding is not None:
            row["embedding"] = prediction.embedding
        self.waiting.append(row)
        if len(self.waiting) == ROWS:
            self._flush()

    def close(self) -> None:
        if self.writer.is_open:
            self._flush()
            self.writer.close()

    def _flush(self) -> None:
        if self.waiting:
            import pyarrow as arrow

            self.writer.write_table(arrow.Table.from_pylist(self.waiting, self.schema))
            self.waiting = []


class NumpyRows:
    """Embeddings as one array, float32 (images, channels), and a CSV file beside it that names the images."""

    def __init__(self, path: Path, channels: int):
        self.file, self.count, self.channels = path.open("xb"), 0, channels
        self._write_header()
        self.names = CsvRows(_new_text(names_beside(path)), 1, is_own=True)

    def write(self, prediction: Prediction) -> None:
        self.file.write(np.asarray(prediction.embedding, "<f4").tobytes())
        self.count += 1
        self.names.write(prediction._replace(classes=prediction.classes[:1]))

    def close(self) -> None:
        if not self.file.closed:
            self.file.seek(0)
            self._write_header()
            self.file.close()
            self.names.close()

    def _write_header(self) -> None:
        """Write the header with room for any number of images, because it is rewritten at the end."""
        header = {"descr": "<f4", "fortran_order": False, "shape": (self.count, self.channels)}
        np.lib.format.write_array_header_1_0(self.file, header)  # pyright: ignore[reportArgumentType]


class EmbeddingsFile:
    """A new .npy or .parquet file of embeddings, created with the first embedding; images without one are left out.

    Args:
        out: file; None writes none.
    """

    def __init__(self, out: str | Path | None):
        self.path = None if out is None else user_path(out)
        self.rows: Rows | None = None

    def write(self, prediction: Prediction) -> None:
        if self.path is None or prediction.embedding is None:
            return
        self.rows = self.rows or self._new_rows(self.path, len(prediction.embedding))
        self.rows.write(prediction)

    def close(self) -> None:
        if self.rows:
            self.rows.close()

    def _new_rows(self, path: Path, channels: int) -> Rows:
        columns = {"image": str, "answer": str, "probability_1": float}
        return NumpyRows(path, channels) if path.suffix == ".npy" else ParquetRows(path, columns, channels)


@contextlib.contextmanager
def open_embeddings(out: str | Path | None) -> Iterator[EmbeddingsFile]:
    """Open the destination of embeddings; however the writing ends, the file has all written so far.

    Raises:
        MissingPackageError: Parquet without pyarrow.
    """
    file = EmbeddingsFile(out)
    with at_any_end(file.close):
        yield file


def valid_text(name: str) -> str:
    """Return a path as valid Unicode, the same in every format: bytes that are not valid are escaped."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
