"""The form of what a command prints: a table for people, JSON or comma-separated values for programs."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from resnext.inference.csv_cells import CsvTable
from resnext.inference.prediction_files import valid_text

Format = Literal["table", "json", "csv"]


def printed(format: Format, document: Mapping[str, Any], rows: str | None = None) -> bool:
    """Print a document for programs and return True; return False for the form for people, which the command prints.

    Args:
        format: requested form.
        document: what the command found; docs/schemas has its JSON schema.
        rows: name of the list in it whose entries are the rows of a CSV; by default the document is one row.
    """
    if format == "json":
        print(json.dumps(plain(document), indent=1, allow_nan=False))
    elif format == "csv":
        _print_csv([flat(each) for each in (plain(document[rows]) if rows else [plain(document)])])
    return format != "table"


def plain(value: Any) -> Any:
    """Return a value as JSON has it: paths as text, tuples as lists, NaN and infinity as None.

    >>> plain({"file": Path("a.onnx"), "loss": math.nan, "sizes": (1, 2)})
    {'file': 'a.onnx', 'loss': None, 'sizes': [1, 2]}
    """
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, tuple | list):
        return [plain(each) for each in value]
    if isinstance(value, str | Path):
        return valid_text(str(value))
    if hasattr(value, "tolist"):  # NumPy's numbers and arrays
        return plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def flat(document: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Return a plain document as one row: inner names after a dot, lists of words with semicolons, other lists as JSON.

    >>> flat({"best": {"epoch": 3}, "classes": ["cat", "dog"], "sizes": [[1, 2]]})
    {'best.epoch': 3, 'classes': 'cat; dog', 'sizes': '[[1, 2]]'}
    """
    row: dict[str, Any] = {}
    for name, value in document.items():
        if isinstance(value, Mapping):
            row |= flat(value, f"{before}{name}.")
        elif isinstance(value, list):
            are_words = all(isinstance(each, str | int | float) for each in value)
            row[f"{before}{name}"] = "; ".join(map(str, value)) if are_words else json.dumps(value)
        else:
            row[f"{before}{name}"] = value
    return row


def _print_csv(rows: Sequence[Mapping[str, Any]]) -> None:
    columns = [*dict.fromkeys(name for row in rows for name in row)]
    table = CsvTable(sys.stdout, columns)
    for row in rows:
        table.write([row.get(name) for name in columns])
