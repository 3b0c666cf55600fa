"""Training images labelled by a CSV file."""

import csv
import json
import re
from pathlib import Path

import pytest

from resnext import check_data, evaluate
from resnext.data.holdout import Holdout
from resnext.data.source import open_data
from resnext.errors import ArgumentError, DataError
from support.command import refusal, resnext
from support.photos import flat

pytestmark = pytest.mark.once


def table(path: Path, *rows: str) -> Path:
    path.write_text("\n".join(rows) + "\n")
    return path


def labelled(examples) -> dict[str, str]:
    return {
        Path(str(image)).name: examples.classes[label]
        for image, label in zip(examples.images, examples.labels, strict=True)
    }


def everything(splits) -> dict[str, str]:
    return labelled(splits.train) | labelled(splits.test)


LABELS = {f"{i:02}.png": "cat" if i % 2 else "dog" for i in range(12)}


@pytest.mark.parametrize(
    ("images", "name", "prefix", "suffix", "data"),
    [
        ("", "labels.csv", "", ".png", ""),  # beside the images
        ("images", "labels.csv", "images/", ".png", ""),  # above them, with paths
        ("images", "anything.csv", "", ".png", ""),
        ("train", "train.csv", "", "", ""),  # as competitions have it: names without a suffix
        ("some/where", "my.table.csv", "some/where/", ".png", "my.table.csv"),  # the file itself
        ("images", "labels.csv", "images\\", ".png", ""),  # written on Windows
    ],
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_labels_training_images(images, name, prefix, suffix, data, delimiter, tmp_path):
    flat(tmp_path / images)
    rows = [f"{prefix}{Path(file).stem}{suffix}{delimiter}{label}" for file, label in LABELS.items()]
    table(tmp_path / name, delimiter.join(("id", "label")), *rows)
    splits = open_data(tmp_path / data).splits()
    assert splits.train.classes == ("cat", "dog")
    assert everything(splits) == LABELS
    assert len(splits.test) == 2
    assert splits.validation is splits.test


def test_splits_and_groups_of_a_table_are_kept(tmp_path):
    flat(tmp_path)
    split = ["train"] * 8 + ["val"] * 2 + ["test"] * 2
    rows = [f"{file},{label},{split[i]},g{i // 2}" for i, (file, label) in enumerate(LABELS.items())]
    table(tmp_path / "labels.csv", "file,label,split,group", *rows)
    splits = open_data(tmp_path).splits()
    assert [len(splits.train), len(splits.validation), len(splits.test)] == [8, 2, 2]
    assert labelled(open_data(tmp_path).examples(("cat", "dog"))) == labelled(splits.test)
    table(tmp_path / "labels.csv", "file,label,split,group", *rows[:-1], rows[-1].replace("test", "train"))
    with pytest.raises(DataError, match=r"has the group g5 in test and in train; a group must be in one part only"):
        open_data(tmp_path).splits()
    table(tmp_path / "labels.csv", "file,label,split,group", *[row.replace("val", "later") for row in rows])
    with pytest.raises(DataError, match=r"row 10 has the split later; write train, val or test"):
        open_data(tmp_path).splits()


def test_groups_of_a_table_are_held_out_whole(tmp_path):
    flat(tmp_path)
    rows = [f"{file},{label},person {i // 4}" for i, (file, label) in enumerate(LABELS.items())]
    table(tmp_path / "labels.csv", "file,label,group", *rows)
    splits = open_data(tmp_path).splits()
    numbers = sorted(int(name[:2]) // 4 for name in labelled(splits.test))
    assert len(numbers) == 4
    assert len(set(numbers)) == 1
    with pytest.raises(ArgumentError, match=r"--group-by: .*labels.csv already has a column of groups"):
        open_data(tmp_path).splits(Holdout(group_by="x"))


def test_a_table_beside_labelled_parts_and_unlabelled_test_images(tmp_path):
    flat(tmp_path / "train")
    flat(tmp_path / "test", 3)
    table(tmp_path / "train.csv", "id,label", *[f"{Path(file).stem},{label}" for file, label in LABELS.items()])
    table(tmp_path / "test.csv", "id,width", "00,12", "01,12", "02,12")
    table(tmp_path / "sample_submission.csv", "id,label", "00,cat")
    source = open_data(tmp_path)
    assert everything(source.splits()) == LABELS
    assert source.left_out() == [
        f"not used: {tmp_path / 'sample_submission.csv'}, a table",
        f"not used: {tmp_path / 'test.csv'}, a table",
        f"{tmp_path / 'test'}: not used, because it has neither class folders nor a label file",
    ]
    table(tmp_path / "test.csv", "id,label", "00,dog", "01,cat", "02,dog")
    splits = open_data(tmp_path).splits()
    assert labelled(splits.train) == LABELS
    assert labelled(splits.test) == {"00.png": "dog", "01.png": "cat", "02.png": "dog"}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (
            ["file,kind", "00.png,cat"],
            r"has the columns file, kind in its first line, and none for label; call one file .or",
        ),
        (
            ["file,label", "00.png,cat", "99.png,dog", "98.png,dog"],
            r"2 of 3 rows name an image that does not exist or is not unique, the first of them 99.png",
        ),
        (["file,label", "00.png,cat", "00.png,dog"], r"has two different rows for 00.png; keep one"),
        (["file,label", "00.png,cat", "01.png"], r"row 3 has no label; complete it"),
        (["file,label", "00.png,cat", ",dog"], r"row 3 has no file; complete it"),
        (["file,label", "00.png,cat", "01.png,cat"], r"has only one class, 'cat'; training needs two or more"),
        (
            ["x,y", "00.png,01.png"],
            r"has the columns x, y in its first line, and none for file or label; call one file",
        ),
        (["file,label"], r"assigns no images to training; write a row `file,label` for each"),
        ([""], r"labels.csv is empty; write a header `file,label`, and a row for each image"),
        (["file,label,split", "00.png,cat,test"], r"assigns no images to training"),
    ],
)
def test_tables_that_cannot_be_used_are_named(rows, words, tmp_path):
    flat(tmp_path)
    with pytest.raises(DataError, match=words):
        open_data(table(tmp_path / "labels.csv", *rows)).splits()


def test_a_name_of_several_images_needs_its_path(tmp_path):
    for folder in ("a", "b"):
        flat(tmp_path / "photos" / folder, 3)
    with pytest.raises(
        DataError, match=r"1 of 1 rows name an image that does not exist or is not unique, the first of them 00.png"
    ):
        open_data(table(tmp_path / "t.csv", "file,label", "00.png,cat")).splits()
    rows = [f"photos/{folder}/{i:02}.png,{folder}" for folder in "ab" for i in range(3)]
    assert len(open_data(table(tmp_path / "t.csv", "file,label", *rows)).splits().train) == 4


def test_a_table_reaches_no_image_outside_its_folder(tmp_path):
    flat(tmp_path / "out", 2)
    flat(tmp_path / "in", 4)
    for name in ("../out/00.png", str(tmp_path / "out" / "01.png"), "sub/../../out/00.png", "elsewhere/00.png"):
        with pytest.raises(DataError, match=r"1 of 2 rows name an image that does not"):
            open_data(table(tmp_path / "in" / "t.csv", "file,label", f"{name},cat", "01.png,dog")).splits()
    (tmp_path / "in" / "link.png").symlink_to(tmp_path / "out" / "00.png")
    with pytest.raises(DataError, match=r"link.png is a link that leads out of .*; pass --follow-links"):
        open_data(table(tmp_path / "in" / "t.csv", "file,label", "link.png,cat", "01.png,dog")).splits()
    rows = [f"{tmp_path / 'in' / f'{i:02}.png'},{'cat' if i % 2 else 'dog'}" for i in range(4)]  # absolute, and inside
    assert len(open_data(table(tmp_path / "in" / "t.csv", "file,label", *rows)).splits().train) == 2


def test_images_without_a_group_are_groups_of_their_own(tmp_path):
    flat(tmp_path)
    rows = [f"{file},{label}{',anna' if i < 4 else ','}" for i, (file, label) in enumerate(LABELS.items())]
    table(tmp_path / "labels.csv", "file,label,group", *rows)
    assert len(open_data(tmp_path).splits(Holdout(held_out=0.34)).test) == 4


def test_images_that_a_table_does_not_name_are_counted(tmp_path):
    flat(tmp_path)
    table(tmp_path / "labels.csv", "file,label", *[f"{file},{label}" for file, label in [*LABELS.items()][:10]])
    (tmp_path / "notes.doc").touch()
    assert check_data(tmp_path).left_out == ("left out: 2 without a label in labels.csv, 1 .doc",)


def test_a_table_beside_class_folders_says_the_same_or_is_refused(tmp_path):
    """It may have other words for the classes; it is used where it is passed itself."""
    for name in ("a", "b"):
        flat(tmp_path / name, 3)
    rows = [f"{folder}/{i:02}.png,{'even' if i % 2 == 0 else 'odd'}" for folder in "ab" for i in range(3)]
    table(tmp_path / "labels.csv", "file,label", *rows)
    with pytest.raises(
        DataError, match=r"two ways: a/01.png is 'a' by the folders in .*, but 'odd' in .*labels.csv. Pass"
    ):
        open_data(tmp_path).splits()
    assert open_data(tmp_path / "labels.csv").splits().train.classes == ("even", "odd")
    table(
        tmp_path / "labels.csv",
        "file,label",
        *[f"{folder}/{i:02}.png,the {folder}" for folder in "ab" for i in range(2)],
    )
    source = open_data(tmp_path)
    assert source.splits().train.classes == ("a", "b")
    assert source.left_out() == [f"not used: {tmp_path / 'labels.csv'}, a table"]
    table(tmp_path / "train.csv", "file,label", *[f"{folder}/{i:02}.png,{i % 2}" for folder in "ab" for i in range(3)])
    assert open_data(tmp_path / "labels.csv").splits().train.classes == ("the a", "the b"), "the one that is named"
    assert f"not used: {tmp_path / 'train.csv'}, a table" in open_data(tmp_path / "labels.csv").left_out()


def test_a_table_is_trained_on_killed_resumed_and_evaluated_alike(tmp_path):
    flat(tmp_path / "images", 24)
    labels = {f"{i:02}.png": "cat" if i % 2 else "dog" for i in range(24)}
    rows = [[f"images/{file}", label, f"day {int(file[:2]) // 4}"] for file, label in labels.items()]
    with (tmp_path / "photos.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["file", "label", "group"], *rows])
    options = ("--variant", "resnet8", "--image-size", 16, "--epochs", 2, "--out", tmp_path / "run")
    process = resnext("train", tmp_path / "photos.csv", *options, "--held-out", 0.3)
    assert process.returncode == 0, process.stderr
    assert "data: 16 images of 2 classes to train on, 8 to evaluate on" in process.stderr
    held_out = json.loads((tmp_path / "run" / "held-out.json").read_text())
    assert len({int(path[7:9]) // 4 for path in held_out}) == 2
    said = float(re.search(r"test top-1 ([\d.]+) %", process.stdout)[1])
    found = evaluate(tmp_path / "run", tmp_path / "photos.csv", weights="last")
    assert len(found.labels) == 8
    assert 100 * found.top(1) == pytest.approx(said, abs=0.01)
    assert json.loads((tmp_path / "run" / "config.json").read_text())["held_out"] == 0.3
    changed = resnext("train", tmp_path / "photos.csv", *options, "--resume", tmp_path / "run", "--held-out", 0.2)
    assert "held_out: 0.3, not 0.2" in refusal(changed)
