"""The rows of tables: what a slip changes is refused with the number of the row."""

import random
from pathlib import Path

import pytest

from resnext.data.labels.rows import read_rows
from resnext.errors import DataError

pytestmark = pytest.mark.once

TABLE = Path("labels.csv")


def fields(text):
    return [row.fields for row in read_rows(TABLE, text)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_every_delimiter_and_line_end_is_read(delimiter, end):
    lines = [delimiter.join(row) for row in (("file", "label"), (" a.jpg ", "cat"), ('"b, c;d|e.jpg"', "dog"))]
    expected = [["file", "label"], ["a.jpg", "cat"], ["b, c;d|e.jpg", "dog"]]
    assert fields(end.join(lines)) == expected
    assert fields(end.join(["# made by hand", "", *lines, ""])) == expected
    assert fields(end.join([f"sep={delimiter}", *lines])) == expected


def test_rows_are_numbered_as_in_the_file():
    assert [row.number for row in read_rows(TABLE, "file,label\n\na.jpg,cat\n,,\nb.jpg,dog")] == [1, 3, 5]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (
            '"b.jpg,dog',
            r'row 3 has an odd number of quotation marks: "b.jpg,dog; close the quoted field, and double',
        ),
        ('b.jpg,5" disk', r"row 3 has an odd number of quotation marks"),
        ('"b".jpg,"dog"', r"row 3 can't be read \(',' expected after '\"'\)"),
        (
            "b,c.jpg,dog",
            r"row 3 has 3 fields, but the header has 2; quote a field that contains the delimiter",
        ),
        ("b\u2028.jpg,dog", r"row 3 has a control character in 'b\\u2028.jpg'"),
        ("b.jpg,\0", r"row 3 has a control character"),
    ],
)
def test_a_slip_is_named(row, words):
    with pytest.raises(DataError, match=rf"^labels.csv: {words}") as caught:
        read_rows(TABLE, f"file,label\na.jpg,cat\n{row}\nc.jpg,cat\n")
    assert "\n" not in str(caught.value)


def test_random_text_is_a_table_or_one_line_with_a_number():
    rng = random.Random(0)
    pieces = [
        '"',
        '""',
        ",",
        ";",
        "\t",
        "|",
        "\n",
        "\r\n",
        "\r",
        "a",
        "b.jpg",
        " ",
        "sep=;",
        "#",
        "\0",
        "\x0b",
        "\u2028",
        "ü",
    ]
    tables = 0
    for _ in range(3_000):
        text = "".join(rng.choices(pieces, k=rng.randrange(30)))
        rows, said = read_or_said(text)
        tables += not said
        assert not said or (said.startswith("labels.csv: row ") and len(said.splitlines()) == 1)
        assert all(len(field.splitlines()) < 2 for row in rows for field in row.fields)
        assert len({len(row.fields) for row in rows}) < 2
    assert tables > 300


def read_or_said(text):
    try:
        return read_rows(TABLE, text), ""
    except DataError as error:
        return [], str(error)
