"""The columns of tables: by what they mean, and by whether their values are images."""

import pytest

from resnext.data.source import open_data
from resnext.errors import DataError
from support.photos import flat, make, picture

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
        ("id,fname,label", lambda n, i, label: f"{i * 7 % 12:02},images/{i:02}.png,{label}", "fname and label"),
        ("Image Index,Finding Labels", lambda n, i, label: f"{i:02}.png,{label}", "Image Index and Finding Labels"),
        ("id_code,diagnosis", lambda n, i, label: f"{i:02},{label}", "id_code and diagnosis"),
        ("image_path,fname,label", lambda n, i, label: f"/input/{i:02}.png,{i:02}.png,{label}", "fname and label"),
        ("'file', 'dx'".replace("'", '"'), lambda n, i, label: f'{i:02}.png, "{label}"', "file and dx"),
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
        ("id,fname,label", lambda n, i, label: f"{n:02},{i:02},{label}",
         "its columns 'fname' and 'id' contradict each other: they give different images"),
        ("id,image_path,label", lambda n, i, label: f"{n:02},images/{i if n else 99:02}.png,{label}",
         "1 of 12 rows name an image that does not exist or is not unique, the first of them images/99.png"),
        ("id,image_path,label", lambda n, i, label: f"{n:02},/input/{i:02}.png,{label}",
         "12 of 12 rows name an image that does not exist or is not unique, the first of them /input/07.png"),
        ("image,mask,label", lambda n, i, label: f"/input/{i:02}.png,{n:02}.png,{label}",
         "12 of 12 rows name an image that does not exist"),
        ("file,label,breed", lambda n, i, label: f"{i:02}.png,{label},{label}{n % 3}",
         "its columns 'label' and 'breed' contradict each other: they give different labels"),
        ("file,label,phase", lambda n, i, label: f"{i:02}.png,{label},{['train', 'test', 'extra'][n % 3]}",
         "row 4 has the phase extra; write train, val or test"),
        ("file,label,split", lambda n, i, label: f"{i:02}.png,{label},{'train' if n else ''}",
         "row 2 has no split; complete it"),
        ("size,label", lambda n, i, label: f"{i} MB,{label}",
         "has the columns size, label in its first line, and none for file; call one file"),
    ],
)  # fmt: skip
def test_two_readings_are_refused(header, row, words, tmp_path):
    with pytest.raises(DataError, match=words):
        split_of(tmp_path, header, row)


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("data set", ("train", "test")), ("Usage", ("Training", "PrivateTest")), ("phase", ("TRAIN", "Testing")),
        ("fold", ("training set", "test-set")), ("is_train", ("1", "0")), ("is_test", ("False", "True")),
        ("is_valid", ("no", "yes")), ("holdout", ("0", "1")), ("where", ("seg_train", "seg_test")),
    ],
)  # fmt: skip
def test_a_column_whose_values_are_parts_is_one_of_parts(tmp_path, column, values):
    flat(tmp_path)
    rows = [f"{i:02}.png,{'cat' if i % 2 == 0 else 'dog'},{values[i > 7]}" for i in range(12)]
    (tmp_path / "labels.csv").write_text("\n".join([f"file,label,{column}", *rows]))
    source = open_data(tmp_path)
    splits = source.splits()
    assert sorted(image.name for image in splits.train.images) == [f"{i:02}.png" for i in range(8)]
    assert sorted(image.name for image in splits.test.images) == [f"{i:02}.png" for i in range(8, 12)]
    assert source.labels_from == f"labels.csv, columns file and label; parts: column {column}"


def test_columns_of_yes_and_no_say_the_parts_together(tmp_path):
    flat(tmp_path)
    flags = {"train": "1,0,0", "validation": "0,1,0", "test": "0,0,1"}
    rows = [f"{i:02}.png,{'cat' if i % 2 == 0 else 'dog'},{[*flags.values()][(i > 5) + (i > 8)]}" for i in range(12)]
    header = "file,label,is_train,is_val,is_test"
    (tmp_path / "labels.csv").write_text("\n".join([header, *rows]))
    splits = open_data(tmp_path).splits()
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [6, 3, 3]
    (tmp_path / "labels.csv").write_text("\n".join([header, *rows, "00.png,cat,1,1,0"]))
    with pytest.raises(DataError, match="row 14 is in 2 parts by its columns is_train and is_val and is_test"):
        open_data(tmp_path).splits()


@pytest.mark.parametrize(
    ("column", "values"),
    [("valid", "10"), ("test", "01"), ("environment", ("dev", "test", "prod")), ("part", ("leaf", "stem")),
     ("set", ("A0", "A1"))],
)  # fmt: skip
def test_a_column_of_another_meaning_is_none_of_parts(tmp_path, column, values):
    named, source = split_of(
        tmp_path, f"file,label,{column}", lambda n, i, label: f"{i:02}.png,{label},{values[n % len(values)]}"
    )
    assert named == RIGHT
    assert source.left_out() == [f"not used: the column {column} of {tmp_path / 'labels.csv'}"]


def test_one_table_may_name_the_images_of_flat_parts(tmp_path):
    flat(tmp_path / "train", 8)
    for i in range(8, 12):
        picture(tmp_path / "test" / f"{i:02}.png", i)
    rows = [f"{i:02},{'cat' if i % 2 == 0 else 'dog'},{'test' if i > 7 else 'train'}" for i in range(12)]
    (tmp_path / "labels.csv").write_text("\n".join(["id,label,split", *rows]))
    splits = open_data(tmp_path).splits()
    assert (len(splits.train), len(splits.test)) == (8, 4)


def test_an_image_in_two_parts_is_refused(tmp_path):
    make(
        tmp_path, *(f"{top}/{name}/{top}{i}.png" for top in ("imgs", "test") for name in ("cat", "dog") for i in (0, 1))
    )
    rows = [f"{path.relative_to(tmp_path)},{path.parent.name},train" for path in sorted(tmp_path.glob("*/*/*.png"))]
    (tmp_path / "labels.csv").write_text("\n".join(["file,label,split", *rows]))
    with pytest.raises(DataError, match=r"is for training by the column split .*, but lies in a folder for test"):
        open_data(tmp_path / "labels.csv").splits()
    rows = [row.removesuffix(",train") for row in rows]
    (tmp_path / "labels.csv").write_text("\n".join(["file,label", *rows]))
    splits = open_data(tmp_path / "labels.csv").splits()
    assert (len(splits.train), len(splits.test)) == (4, 4)
    (tmp_path / "labels.csv").write_text("\n".join(["file,label", *rows[4:]]))  # all in test/
    with pytest.raises(DataError, match=r"4 images would be in train by .*labels.csv and in test by their folder"):
        open_data(tmp_path / "labels.csv").splits()


def test_columns_that_are_not_read_are_named(tmp_path):
    _, source = split_of(tmp_path, "file,label,fold,site", lambda n, i, label: f"{i:02}.png,{label},{n % 5},a")
    assert source.left_out() == [f"not used: the columns fold, site of {tmp_path / 'labels.csv'}"]


def test_parts_may_be_the_folders_of_the_images(tmp_path):
    rows = []
    for part, count in (("train", 8), ("test", 4)):
        flat(tmp_path / part, count)
        rows += [f"{part}/{i:02}.png,{'cat' if i % 2 == 0 else 'dog'}" for i in range(count)]
    (tmp_path / "labels.csv").write_text("\n".join(["file,label", *rows]))
    for data in (tmp_path, tmp_path / "labels.csv"):
        source = open_data(data)
        splits = source.splits()
        assert [image.parent.name for image in splits.train.images] == ["train"] * 8
        assert [image.parent.name for image in splits.test.images] == ["test"] * 4
        assert source.labels_from == "labels.csv, columns file and label; parts: the folders of the images"
        assert source.left_out() == []
    rows = [f"{row},{'test' if row.startswith('train') else 'train'}" for row in rows]
    (tmp_path / "labels.csv").write_text("\n".join(["file,label,phase", *rows]))
    words = (
        "parts can be read in two ways: test/00.png is for training by the column phase .*, but lies in a folder for"
    )
    with pytest.raises(DataError, match=words):
        open_data(tmp_path).splits()
