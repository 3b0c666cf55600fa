"""The rows of a text table: what a slip of a quotation mark, a delimiter or a line end changes is refused, not read."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from resnext.data.folders import Member
from resnext.errors import DataError, printable

DELIMITERS = (",", ";", "\t", "|")
LINE_END = re.compile(r"\r\n|\r|\n")


class TextRow(NamedTuple):
    """A row and its number in the file, counted from 1."""

    number: int
    fields: list[str]


def read_rows(file: Path | Member, text: str) -> list[TextRow]:
    """Return the rows of a table, without empty lines and without comments above the header.

    A row is one line. Its fields are separated by the delimiter that Excel's first line `sep=;` names or, without such
    a line, by the one that splits the header into the most fields.

    Args:
        file: file of the text, for error messages.
        text: content of the file.

    Raises:
        DataError: a row is not what it seems to be: it opens a quotation and does not close it, or has more fields than
            the header.
    """
    lines = [(number, line) for number, line in enumerate(LINE_END.split(text), 1) if line.strip()]
    named = re.fullmatch(r'"?sep=(.)"?', lines[0][1].strip("\ufeff ")) if lines else None
    lines = lines[1:] if named else lines
    while lines and lines[0][1].startswith("#"):
        lines = lines[1:]
    delimiter = named[1] if named else _delimiter(lines[0][1]) if lines else ","
    rows = [TextRow(number, _fields(file, number, line, delimiter)) for number, line in lines]
    return [*_whole(file, rows)]


def _delimiter(header: str) -> str:
    """Return the delimiter that splits the header into the most fields; quoted ones do not count."""
    unquoted = re.sub(r'"[^"]*"', "", header)
    return max(DELIMITERS, key=unquoted.count)


def _fields(file: Path | Member, number: int, line: str, delimiter: str) -> list[str]:
    """Return the fields of a line. Raises DataError if a quotation mark or a control character is misplaced."""
    if line.count('"') % 2:
        raise DataError(
            f"{printable(file)}: row {number} has an odd number of quotation marks: {printable(line)}; close the "
            'quoted field, and double a quotation mark inside it: "5"" wide"'
        )
    try:
        (fields,) = csv.reader([line], delimiter=delimiter, strict=True, skipinitialspace=True)
    except (csv.Error, ValueError) as error:
        raise DataError(f"{printable(file)}: row {number} can't be read ({error}): {printable(line)}") from error
    fields = [field.strip() for field in fields]
    if strange := next((field for field in fields if len(field.splitlines()) > 1 or "\0" in field), None):
        raise DataError(f"{printable(file)}: row {number} has a control character in {printable(repr(strange))}")
    return fields


def _whole(file: Path | Member, rows: list[TextRow]) -> Iterator[TextRow]:
    """Yield the rows that are not blank, each with as many fields as the header."""
    width = len(rows[0].fields) if rows else 0
    for number, fields in rows:
        if any(fields[width:]):
            raise DataError(
                f"{printable(file)}: row {number} has {len(fields)} fields, but the header has {width}; quote a field "
                "that contains the delimiter"
            )
        if any(fields):
            yield TextRow(number, (fields + [""] * width)[:width])
