"""Training images labelled by a CSV file, and which images are held out: shares, folds and whole groups."""

import csv
import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from conftest import refusal, resnext
from PIL import Image

from resnext import check_data, evaluate
from resnext.data.source import open_data
from resnext.data.splits import Holdout, groups_of, held_out_mask
from resnext.errors import ArgumentError, DataError

pytestmark = pytest.mark.once


def picture(path: Path, value: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (12, 12), (value % 256, 90, 200)).save(path)


def table(path: Path, *rows: str) -> Path:
    path.write_text("\n".join(rows) + "\n")
    return path


def flat(folder: Path, count: int = 12) -> Path:
    """Images in no class folders."""
    for i in range(count):
        picture(folder / f"{i:02}.png", 20 * i)
    return folder


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
    with pytest.raises(DataError, match=r"has the group g5 in test and in train; a group belongs to one"):
        open_data(tmp_path).splits()
    table(tmp_path / "labels.csv", "file,label,split", *[row.replace("val", "dev") for row in rows])
    with pytest.raises(DataError, match=r"has the split 'dev'; write train, val or test"):
        open_data(tmp_path).splits()


def test_groups_of_a_table_are_held_out_whole(tmp_path):
    flat(tmp_path)
    rows = [f"{file},{label},person {i // 4}" for i, (file, label) in enumerate(LABELS.items())]
    table(tmp_path / "labels.csv", "file,label,group", *rows)
    splits = open_data(tmp_path).splits()
    numbers = sorted(int(name[:2]) // 4 for name in labelled(splits.test))
    assert len(numbers) == 4
    assert len(set(numbers)) == 1
    with pytest.raises(ArgumentError, match=r"--group-by: .*labels.csv has a column of groups already"):
        open_data(tmp_path).splits(Holdout(group_by="x"))


def test_a_table_beside_labelled_parts_and_unlabelled_test_images(tmp_path):
    flat(tmp_path / "train")
    flat(tmp_path / "test", 3)
    table(tmp_path / "train.csv", "id,label", *[f"{Path(file).stem},{label}" for file, label in LABELS.items()])
    table(tmp_path / "test.csv", "id,width", "00,12", "01,12", "02,12")
    table(tmp_path / "sample_submission.csv", "id,label", "00,cat")
    source = open_data(tmp_path)
    assert everything(source.splits()) == LABELS
    assert source.left_out() == [f"{tmp_path / 'test'}: not used, for it has neither class folders nor a label file"]
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
            r"2 of 3 rows name no image, or one of .*, the first of them 99.png",
        ),
        (["file,label", "00.png,cat", "00.png,dog"], r"has two different rows for 00.png; keep one"),
        (["file,label", "00.png,cat", "01.png"], r"row 3 has no label; complete it"),
        (["file,label", "00.png,cat", ",dog"], r"row 3 has no file; complete it"),
        (["file,label", "00.png,cat", "01.png,cat"], r"has one class only, 'cat'; training needs two or more"),
        (["file,label"], r"names no images to train on; write a row `file,label` for each"),
        ([""], r"labels.csv is empty; write a header `file,label`, and a row for each image"),
        (["file,label,split", "00.png,cat,test"], r"names no images to train on"),
    ],
)
def test_tables_that_cannot_be_used_are_named(rows, words, tmp_path):
    flat(tmp_path)
    with pytest.raises(DataError, match=words):
        open_data(table(tmp_path / "labels.csv", *rows)).splits()


def test_a_name_of_several_images_needs_its_path(tmp_path):
    for folder in ("a", "b"):
        flat(tmp_path / "photos" / folder, 3)
    with pytest.raises(DataError, match=r"1 of 1 rows name no image, or one of .*, the first of them 00.png"):
        open_data(table(tmp_path / "t.csv", "file,label", "00.png,cat")).splits()
    rows = [f"photos/{folder}/{i:02}.png,{folder}" for folder in "ab" for i in range(3)]
    assert len(open_data(table(tmp_path / "t.csv", "file,label", *rows)).splits().train) == 4


def test_a_table_reaches_no_image_outside_its_folder(tmp_path):
    flat(tmp_path / "out", 2)
    flat(tmp_path / "in", 4)
    for name in ("../out/00.png", str(tmp_path / "out" / "01.png"), "sub/../../out/00.png", "elsewhere/00.png"):
        with pytest.raises(DataError, match=r"1 of 2 rows name no image"):
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


def test_class_folders_come_before_a_table(tmp_path):
    """A table beside class folders is used where it is passed itself, and only there."""
    for name in ("a", "b"):
        flat(tmp_path / name, 3)
    rows = [f"{folder}/{i:02}.png,{'even' if i % 2 == 0 else 'odd'}" for folder in "ab" for i in range(3)]
    table(tmp_path / "labels.csv", "file,label", *rows)
    assert open_data(tmp_path).splits().train.classes == ("a", "b")
    assert open_data(tmp_path / "labels.csv").splits().train.classes == ("even", "odd")


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


# Which images are held out


def test_a_share_can_be_given():
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    assert np.bincount(labels[held_out_mask(labels, None, Holdout())]).tolist() == [10, 5, 1]
    assert np.bincount(labels[held_out_mask(labels, None, Holdout(held_out=0.3))]).tolist() == [18, 9, 3]
    assert np.bincount(labels[held_out_mask(labels, None, Holdout(held_out=0.99))]).tolist() == [59, 29, 9]


def test_folds_cover_every_image_once():
    labels = np.repeat([0, 1, 2, 3], [23, 11, 3, 1])
    masks = [held_out_mask(labels, None, Holdout(seed=4, folds=5, fold=fold)) for fold in range(1, 6)]
    assert np.sum(masks, axis=0).tolist() == [1] * 37 + [0]  # a single image of a class is always trained on
    assert {int(mask.sum()) for mask in masks} <= {7, 8}
    assert all(np.bincount(labels[~mask], minlength=4).min() >= 1 for mask in masks)


def test_groups_are_never_split_and_classes_stay_balanced():
    rng = np.random.default_rng(0)
    numbers = np.sort(rng.integers(0, 40, 600))
    groups, labels = [f"patient {n}" for n in numbers], (numbers * 7 + rng.integers(0, 2, 600)) % 3
    for draws in ([Holdout(seed=s) for s in range(3)], [Holdout(folds=4, fold=f) for f in range(1, 5)]):
        masks = [held_out_mask(labels, groups, draw) for draw in draws]
        for mask, draw in zip(masks, draws, strict=True):
            assert not {g for g, m in zip(groups, mask, strict=True) if m} & {
                g for g, m in zip(groups, mask, strict=True) if not m
            }
            share = np.bincount(labels[mask]) / np.bincount(labels)
            assert abs(share - (1 / 4 if draw.folds else 1 / 6)).max() < 0.08
        if draws[0].folds:
            assert np.sum(masks, axis=0).tolist() == [1] * 600


def test_the_smallest_share_holds_out_a_group_and_an_empty_fold_is_refused(tmp_path):
    labels, groups = np.repeat([0, 1], 6), ["a", "a", "a", "b", "b", "b"] * 2
    assert held_out_mask(labels, groups, Holdout()).sum() == 6
    assert held_out_mask(labels, groups, Holdout(held_out=0.01)).sum() == 6
    for name in ("cat", "dog"):
        flat(tmp_path / name, 3)
    with pytest.raises(DataError, match=r"^fold 9 of 9 is empty, for there are too few images in a class; use fewer"):
        open_data(tmp_path).splits(Holdout(folds=9, fold=9))
    with pytest.raises(DataError, match=r"^fold 3 of 3 is empty, for there are too few groups in a class; use fewer"):
        open_data(tmp_path).splits(Holdout(folds=3, fold=3, group_by="0"))


def test_a_group_that_is_all_of_a_class_is_trained_on():
    labels, groups = np.array([0, 0, 0, 0, 1, 1]), ["a", "b", "c", "d", "e", "e"]
    for fold in (1, 2):
        assert not held_out_mask(labels, groups, Holdout(folds=2, fold=fold))[4:].any()


def test_groups_are_found_in_paths(tmp_path):
    assert groups_of(["cat/anna_1.jpg", "dog/anna_2.jpg"], r"/(\w+?)_") == ["anna", "anna"]
    assert groups_of(["cat/07-1.jpg"], r"\d+") == ["07"]
    for pattern in (r"\d", r"(\d)|cat"):
        with pytest.raises(DataError, match=r"finds no group in 1 of 2 paths, the first cat/x.jpg"):
            groups_of(["cat/x.jpg", "dog/1.jpg"], pattern)
    for name in ("cat", "dog"):
        for person in ("anna", "berta", "carla"):
            for i in range(3):
                picture(tmp_path / name / f"{person}-{i}.png", 30 * i)
    splits = open_data(tmp_path).splits(Holdout(group_by=r"/(\w+)-"))
    people = Counter(Path(str(image)).name.split("-")[0] for image in splits.test.images)
    assert len(people) == 1
    assert [*people.values()] == [6]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"held_out": 1.0}, "`held_out` must be a share between 0 and 1. Received: 1.0"),
        ({"folds": 5}, "`folds` and `fold` belong together: 5 and 1 hold out the first fifth. Received: 5 and None"),
        ({"folds": 5, "fold": 6}, "`folds` must be 2 or more, and `fold` from 1 to `folds`. Received: 5 and 6"),
        ({"folds": 1, "fold": 1}, "`folds` must be 2 or more, and `fold` from 1 to `folds`. Received: 1 and 1"),
        ({"folds": 5, "fold": 1, "held_out": 0.2}, "`held_out` and `folds` exclude each other"),
        ({"group_by": "("}, "`group_by` must be a regular expression (missing ), unterminated subpattern"),
    ],
)
def test_draws_that_make_no_sense_are_refused(values, words):
    with pytest.raises(ArgumentError, match=re.escape(words)):
        Holdout(**values)


def test_data_with_a_test_part_is_not_drawn_from(tmp_path):
    for part in ("train", "test"):
        for name in ("a", "b"):
            flat(tmp_path / part / name, 3)
    for draw in (Holdout(held_out=0.2), Holdout(folds=3, fold=1), Holdout(group_by=".")):
        with pytest.raises(ArgumentError, match=r"draw images to test on, and .* has some already\. Leave them out"):
            open_data(tmp_path).splits(draw)
    with pytest.raises(ArgumentError, match=r"and digits has some already"):
        open_data("digits").splits(Holdout(folds=3, fold=1))
