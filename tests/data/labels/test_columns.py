"""The columns of tables: by what they mean, and by whether their values are images."""

import pytest

from resnext.data.source import open_data
from resnext.errors import DataError
from support.photos import flat

pytestmark = pytest.mark.once

ORDER = [7, 2, 11, 4, 9, 0, 5, 10, 1, 8, 3, 6]  # the images in the order of the rows


def split_of(folder, header, row, name="labels.csv"):
    """Labels by file name of a table with a row for each image; even ones are cats."""
    flat(folder / "images")
    lines = [header, *(row(place, i, "cat" if i % 2 == 0 else "dog") for place, i in enumerate(ORDER))]
    (folder / name).write_text("\n".join(lines))
    source = open_data(folder)
    splits = source.splits()
    named = {}
    for part in (splits.train, splits.test):
        named |= {image.name: part.classes[label] for image, label in zip(part.images, part.labels, strict=True)}
    return named, source


RIGHT = {f"{i:02}.png": "cat" if i % 2 == 0 else "dog" for i in ORDER}


@pytest.mark.parametrize(
    ("header", "row", "columns"),
    [
        ("id,image,label", lambda n, i, label: f"{n:02},images/{i:02}.png,{label}", "image and label"),
        ("id,image_path,label", lambda n, i, label: f"{n:02},images/{i:02}.png,{label}", "image_path and label"),
        ("name;File Path;Class Name", lambda n, i, label: f"{n:02};images/{i:02}.png;{label}",
         "File Path and Class Name"),
        ("filepaths,labels", lambda n, i, label: f"images/{i:02}.png,{label}", "filepaths and labels"),
        ("where,label", lambda n, i, label: f"images/{i:02}.png,{label}", "where and label"),
        ("file,where,label", lambda n, i, label: f"{n} MB,{i:02}.png,{label}", "where and label"),
        ("image,image_name,label", lambda n, i, label: f"images/{i:02}.png,{i:02},{label}", "image and label"),
        ("image,mask,label", lambda n, i, label: f"{i:02}.png,{n:02}.png,{label}", "image and label"),
        ("file,class_id,class", lambda n, i, label: f"{i:02}.png,{len(label) + i % 2},{label}", "file and class"),
        ("file,label,name", lambda n, i, label: f"{i:02}.png,{label},{n}", "file and label"),
    ],
)  # fmt: skip
def test_columns_are_found_by_meaning_and_by_their_values(header, row, columns, tmp_path):
    named, source = split_of(tmp_path, header, row)
    assert named == RIGHT
    assert source.labels_from == f"labels.csv, columns {columns}"


@pytest.mark.parametrize(
    ("header", "row", "words"),
    [
        ("file,image,label", lambda n, i, label: f"{n:02}.png,{i:02}.png,{label}",
         "its columns 'file' and 'image' contradict each other: they give different images; remove or rename the one"),
        ("id,name,label", lambda n, i, label: f"{n:02},{i:02},{label}",
         "its columns 'id' and 'name' contradict each other"),
        ("file,label,category", lambda n, i, label: f"{i:02}.png,{label},{n % 3}",
         "its columns 'label' and 'category' contradict each other: they give different labels"),
        ("left,right,label", lambda n, i, label: f"{n:02}.png,{i:02}.png,{label}",
         "its columns 'left' and 'right' contradict each other: they give different images"),
        ("file,label,split,set", lambda n, i, label: f"{i:02}.png,{label},train,{'train' if n else 'test'}",
         "its columns 'split' and 'set' contradict each other: they give different parts"),
        ("file,label,split", lambda n, i, label: f"{i:02}.png,{label},{'train' if n else ''}",
         "row 2 has no split; complete it"),
        ("size,label", lambda n, i, label: f"{i} MB,{label}",
         "has the columns size, label in its first line, and none for file; call one file"),
    ],
)  # fmt: skip
def test_two_readings_are_refused(header, row, words, tmp_path):
    with pytest.raises(DataError, match=words):
        split_of(tmp_path, header, row)
