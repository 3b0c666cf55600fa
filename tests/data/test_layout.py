"""The layout of a folder of data: its parts, and what in it is not used."""

import shutil

import numpy as np
import pytest

from resnext.data.source import open_data
from resnext.errors import DataError
from support.command import refusal, resnext
from support.photos import COLOURS, flat, load_examples, load_splits, make, names, photo, write_photos

pytestmark = pytest.mark.once


def test_train_and_test_folders(tmp_path):
    make(tmp_path, "train/cat/1.png", "train/cat/deep/er/0.JPG", "train/bird/2.webp", "test/cat/3.png")
    splits = load_splits(tmp_path)
    assert splits.train.classes == splits.test.classes == ("bird", "cat")
    assert names(splits.train, tmp_path) == [
        "train/bird/2.webp",
        "train/cat/1.png",
        "train/cat/deep/er/0.JPG",
    ]
    assert splits.train.labels.tolist() == [0, 1, 1]
    assert splits.train.labels.dtype == np.int32
    assert names(splits.test, tmp_path) == ["test/cat/3.png"]
    assert splits.test.labels.tolist() == [1]
    assert splits.validation is splits.test


@pytest.mark.parametrize("name", ["val", "valid", "validation", "Val"])
def test_validation_folder_serves_as_test_too(tmp_path, name):
    make(tmp_path, "train/a/1.png", "train/b/1.png", f"{name}/a/2.png")
    splits = load_splits(str(tmp_path))
    assert names(splits.validation, tmp_path) == [f"{name}/a/2.png"]
    assert splits.test is splits.validation


def test_three_folders_stay_apart(tmp_path):
    splits = load_splits(make(tmp_path, "train/a/1.png", "train/b/1.png", "val/a/2.png", "test/b/3.png"))
    assert names(splits.validation, tmp_path) == ["val/a/2.png"]
    assert names(splits.test, tmp_path) == ["test/b/3.png"]


def test_hidden_and_other_files_are_ignored(tmp_path):
    make(tmp_path, "a/1.png", "a/2.png", "b/1.png", "b/2.png", "a/.3.png", "a/.hidden/4.png", ".cache/5.png")
    (tmp_path / "a" / "notes.txt").write_text("x")
    (tmp_path / "labels.csv").write_text("x")
    splits = load_splits(tmp_path)
    assert splits.train.classes == ("a", "b")
    assert len(splits.train) + len(splits.test) == 4


@pytest.mark.parametrize(
    ("paths", "pattern"),
    [
        (
            [],
            r"has no images in class folders; allowed layouts: DATA/<class>.*DATA/train/<class>.*\.jpeg .*\.webp$",
        ),
        (["1.png", "2.png"], "has images and no class folders. If it is"),
        (["train/1.png", "test/2.png"], "train has images and no class folders. If it is"),
        (["a/1.png", "a/2.png"], "only one class, 'a'.*two or more"),
        (["a/1.png", "b/1.png"], "every class has one image only"),
        (["test/a/1.png", "test/b/1.png"], "has test but no train; training needs DATA/"),
        (
            ["train/a/1.png", "train/b/1.png", "val/a/1.png", "validation/a/1.png"],
            "has two folders for one part, val and validation; keep only one",
        ),
        (
            ["train/cat/1.png", "train/dog/1.png", "test/dgo/2.png", "test/xyz/2.png"],
            r"test has classes that training has not seen: 'dgo' \(did you mean 'dog'\?\), 'xyz'$",
        ),
        (
            ["train/é/1.png", "train/e\u0301/1.png", "test/é/1.png"],
            "differ only in their Unicode form",
        ),
    ],
)
def test_data_that_cannot_be_trained_on_is_refused(tmp_path, paths, pattern):
    with pytest.raises(DataError, match=pattern) as caught:
        load_splits(make(tmp_path, *paths))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("load", [load_splits, lambda data: load_examples(data, ("a", "b"))])
def test_missing_folders_files_and_empty_classes_are_refused(tmp_path, load):
    with pytest.raises(
        DataError, match=r"nowhere does not exist. Pass a folder of images, an archive .*built-in data set: digits, c"
    ):
        load(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file is neither a folder nor an archive\. Pass a folder"):
        load(tmp_path / "file")


def test_test_folder_goes_before_validation_before_class_folders(tmp_path):
    root = make(tmp_path, "val/b/1.png", "test/a/1.png", "train/a/0.png")
    assert names(load_examples(root, ("b", "a")), root) == ["test/a/1.png"]
    shutil.rmtree(root / "test")
    assert names(load_examples(root, ("b", "a")), root) == ["val/b/1.png"]
    shutil.rmtree(root / "val")
    with pytest.raises(DataError, match=r"has train but neither test nor val; to evaluate on it pass .*train$"):
        load_examples(root, ("b", "a"))
    assert names(load_examples(root / "train", ("b", "a")), root) == ["train/a/0.png"]


def test_one_folder_too_high_is_the_same_data(tmp_path):
    data = write_photos(tmp_path / "x" / "data", COLOURS, 4)
    (tmp_path / "x" / "README.md").write_text("?")
    assert [str(path) for path in load_splits(tmp_path / "x").train.images] == [
        str(path) for path in load_splits(data).train.images
    ]


def test_a_test_folder_without_labels_is_said_and_not_used(tmp_path):
    write_photos(tmp_path / "data" / "train", COLOURS, 6)
    (tmp_path / "data" / "test").mkdir()
    for i in range(3):
        photo(seed=i).save(tmp_path / "data" / "test" / f"{i}.jpg")
    splits = load_splits(tmp_path / "data")
    assert (len(splits.train), len(splits.test), len(splits.held_out)) == (15, 3, 3)
    examples, missing = open_data(tmp_path / "data").held_out(splits.held_out, splits.train.classes)
    assert (len(examples), missing) == (3, [])
    (words,) = open_data(tmp_path / "data").left_out()
    assert words == f"{tmp_path / 'data' / 'test'}: not used, because it has neither class folders nor a label file"


def test_a_class_called_test_is_explained(tmp_path):
    write_photos(tmp_path / "data", {**COLOURS, "test": (9, 9, 9)}, 2)
    with pytest.raises(DataError, match=r"If test is a class, rename its folder, or move all classes into train/$"):
        load_splits(tmp_path / "data")
    assert "If test is a class" in refusal(resnext("check-data", tmp_path / "data"))


@pytest.mark.parametrize(
    ("train", "test", "part"),
    [("Training", "Testing", "test"), ("training_set/training_set", "test_set/test_set", "test"),
     ("train", "testing", "test"), ("Train", "dev", "validation"), ("training", "evaluation", "validation")],
)  # fmt: skip
def test_parts_have_other_names_too(tmp_path, train, test, part):
    for name, images in ((train, 4), (test, 2)):
        write_photos(tmp_path / name, COLOURS, images)
    source = open_data(tmp_path)
    assert source.layout.others.keys() == {part}
    splits = source.splits()
    assert (splits.train.classes, len(splits.train), len(splits.test)) == (tuple(sorted(COLOURS)), 12, 6)
    assert source.left_out() == []


def test_classes_may_be_called_as_parts_are(tmp_path):
    classes = {"Training": (1, 2, 3), "Boxing": (4, 5, 6), "dev": (7, 8, 9)}
    assert load_splits(write_photos(tmp_path, classes, 3)).train.classes == ("Boxing", "Training", "dev")


@pytest.mark.parametrize("tops", [("2023", "2024"), ("first", "second", "third")])
def test_folders_above_the_classes_are_not_taken_for_classes(tmp_path, tops):
    for top in tops:
        write_photos(tmp_path / top, COLOURS, 2)
    words = (
        rf"two ways: its folders \({tops[0]}, {tops[1]}.*\) .*\(blue, green, red\) are. .* such as .*/{tops[0]}, or a"
    )
    with pytest.raises(DataError, match=words):
        load_splits(tmp_path)


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        (["2023/cat/1", "2023/dog/1", "2024/cat/1", "2024/dog/1", "2023/x"], r"\(cat, dog\) are\. .* such as .*/2023,"),
        (["2023/Cat/1", "2023/dog/1", "2024/cat/1", "2024/bird/1"], r"\(cat\) are\."),
        (["a/images/cat/1", "a/images/dog/1", "b/images/cat/1", "b/images/dog/1"], r"\(cat, dog\) are\."),
        (["a/jan/cat/1", "a/jan/dog/1", "b/feb/cat/1", "b/feb/dog/1"], r"\(cat, dog\) are\."),
        (["cat/1", "dog/1", "data/cat/1", "data/dog/1"], r"\(cat, dog\) are\. .* such as .*/data,"),
        (["cat/train/1", "cat/test/1", "dog/Training/1"], r"\(test, train, training\) are the parts\."),
        (["data/train/cat/1", "data/test/cat/1", "extra/1"], r"\(test, train\) are the parts\. .* such as .*/data,"),
    ],
)
def test_folders_at_another_level_may_be_the_classes_or_the_parts(tmp_path, paths, words):
    make(tmp_path, *(f"{path}.png" for path in paths))
    with pytest.raises(DataError, match=r"can be read in two ways: its folders .* or the folders in them " + words):
        load_splits(tmp_path)


def test_few_images_in_folders_of_a_name_are_no_classes(tmp_path):
    make(tmp_path, *(f"{name}/{i}.png" for name in ("cat", "dog") for i in range(4)), "cat/old/1.png", "dog/old/1.png")
    assert load_splits(tmp_path).train.classes == ("cat", "dog")


@pytest.mark.parametrize("names", [("seg_train/seg_train", "seg_test/seg_test"), ("train_images", "images test")])
def test_a_part_may_have_another_word_in_its_name(tmp_path, names):
    for name, count in zip(names, (4, 2), strict=True):
        write_photos(tmp_path / name, COLOURS, count)
    write_photos(tmp_path / "seg_pred", {"seg_pred": (0, 0, 0)}, 3)
    source = open_data(tmp_path)
    splits = source.splits()
    assert (splits.train.classes, len(splits.train), len(splits.test)) == (tuple(sorted(COLOURS)), 12, 6)
    assert source.left_out() == [f"not used: {tmp_path / 'seg_pred'}, with 3 images"]


def test_a_competitions_flat_folders_are_its_parts(tmp_path):
    for name, count in (("train_images", 12), ("test_images", 3)):
        flat(tmp_path / name, count)
    rows = [f"{i:02},{'cat' if i % 2 == 0 else 'dog'}" for i in range(12)]
    (tmp_path / "train.csv").write_text("\n".join(["id_code,diagnosis", *rows]))
    (tmp_path / "test.csv").write_text("id_code\n00\n01\n02")
    source = open_data(tmp_path)
    splits = source.splits()
    assert (splits.train.classes, len(splits.train) + len(splits.test)) == (("cat", "dog"), 12)
    assert source.left_out() == [
        f"not used: {tmp_path / 'test.csv'}, a table",
        f"{tmp_path / 'test_images'}: not used, because it has neither class folders nor a label file",
    ]


def test_the_only_class_may_hold_the_classes(tmp_path):
    write_photos(tmp_path / "images", COLOURS, 2)
    (tmp_path / "labels.csv").write_text("x")
    with pytest.raises(DataError, match=rf"only one class, 'images'; .*are the classes, pass {tmp_path}/images$"):
        load_splits(tmp_path)


def test_a_word_of_a_part_in_one_name_is_no_part(tmp_path):
    make(tmp_path, "sandals/a/1.png", "sandals/b/1.png", "training shoes/nike/1.png", "training shoes/puma/1.png")
    assert load_splits(tmp_path).train.classes == ("sandals", "training shoes")


def test_nested_and_other_folders_of_competitions(tmp_path):
    """Cassava's and ASL's archives: a folder in one of its name, and one of other files."""
    flat(tmp_path / "train_images")
    flat(tmp_path / "test_images" / "test_images", 3)
    (tmp_path / "test_tfrecords").mkdir()
    (tmp_path / "test_tfrecords" / "a.tfrec").write_bytes(b"x")
    rows = [f"{i:02}.png,{'cat' if i % 2 == 0 else 'dog'}" for i in range(12)]
    (tmp_path / "train.csv").write_text("\n".join(["image_id,label", *rows]))
    (tmp_path / "sample_submission.csv").write_text("image_id,label\n00.png,dog\n01.png,cat")
    source = open_data(tmp_path)
    assert len(source.splits().train) + len(source.splits().test) == 12
    assert any("neither class folders nor a label file" in line for line in source.left_out())


def test_a_labelled_test_of_another_name_is_used(tmp_path):
    """As in GTSRB: columns in camel case, and the parts with a capital letter."""
    for name, count in (("Train", 3), ("Test", 0)):
        write_photos(tmp_path / name, COLOURS, count)
    flat(tmp_path / "Test", 3)
    for name in COLOURS:
        (tmp_path / "Test" / name).rmdir()
    (tmp_path / "Test.csv").write_text(
        "Width,ClassId,Path\n12,red,Test/00.png\n12,green,Test/01.png\n12,red,Test/02.png"
    )
    source = open_data(tmp_path)
    test = source.splits().test
    assert [test.classes[label] for label in test.labels] == ["red", "green", "red"]
    assert source.origin("test") == "Test.csv, columns Path and ClassId"


def test_what_lies_above_and_between_is_named(tmp_path):
    make(tmp_path, *(f"images/{name}/{i}.png" for name in ("cat", "dog") for i in range(3)), "images/stray.png")
    for name in ("train_test_split.txt", "images/labels.json"):
        (tmp_path / name).write_bytes(b"x")
    assert open_data(tmp_path).left_out() == [
        "left out: 1 image beside the class folders",
        "not used: train_test_split.txt, labels.json, beside the images",
    ]


def test_a_table_of_parts_beside_class_folders_is_not_ignored(tmp_path):
    make(tmp_path, *(f"{name}/{name}{i}.png" for name in ("cat", "dog") for i in range(3)))
    for name, text in (("split.csv", "file,split\ncat0.png,test"), ("test.csv", "Filename\ncat/cat0.png")):
        (tmp_path / name).write_text(text)
        with pytest.raises(
            DataError, match=r"parts can be read in two ways: cat/cat0.png is for train by its folder, but"
        ):
            load_splits(tmp_path)
        (tmp_path / name).unlink()


def test_files_beside_the_images_are_named(tmp_path):
    make(tmp_path, *(f"{name}/{i}.png" for name in ("cat", "dog") for i in range(3)))
    for name in ("labels.xlsx", "split.json", "train.txt", "more.zip", "README.txt", "photo.NEF"):
        (tmp_path / name).write_bytes(b"x")
    assert open_data(tmp_path).left_out() == [
        "not used: labels.xlsx, more.zip, split.json, train.txt, beside the images"
    ]


def test_a_readme_does_not_hide_the_only_folder(tmp_path):
    write_photos(tmp_path / "photos", COLOURS, 3)
    (tmp_path / "README.txt").write_text("x")
    assert load_splits(tmp_path).train.classes == tuple(sorted(COLOURS))


def test_parts_that_a_table_lacks_are_those_of_the_folders(tmp_path):
    flat(tmp_path / "train")
    flat(tmp_path / "test", 3)
    rows = [f"{i:02},{'cat' if i % 2 == 0 else 'dog'},{'val' if i > 8 else 'train'}" for i in range(12)]
    (tmp_path / "train.csv").write_text("\n".join(["id,label,split", *rows]))
    (tmp_path / "test.csv").write_text("id,label\n00,cat\n01,dog\n02,cat")
    source = open_data(tmp_path)
    splits = source.splits()
    assert (len(splits.train), len(splits.validation), splits.test.labels.tolist()) == (9, 3, [0, 1, 0])
    assert source.left_out() == []


def test_tables_beside_class_folders_must_agree_in_labels_and_parts(tmp_path):
    make(
        tmp_path,
        *(
            f"{part}/{name}/{part}{name}{i}.png"
            for part in ("train", "test")
            for name in ("cat", "dog")
            for i in (0, 1)
        ),
    )
    table = tmp_path / "meta.csv"
    table.write_text("file,dx\ntraincat0.png,feline\ntraindog0.png,canine\n")  # other words
    assert open_data(tmp_path).splits().train.classes == ("cat", "dog")
    for row, words in (
        ("file,dx\ntraincat0.png,Dog\ntraindog0.png,Cat", "labels can be read in two ways: train/cat/traincat0.png is"),
        ("file,dx\ntestcat0.png,dog\ntestdog0.png,cat", "labels can be read in two ways: test/cat/testcat0.png is"),
        ("file,dx,phase\ntraincat0.png,cat,test", "parts can be read in two ways: train/cat/traincat0.png is for"),
        ("file,dx,phase\ntestcat0.png,cat,train", "parts can be read in two ways: test/cat/testcat0.png is for"),
    ):  # fmt: skip
        table.write_text(row)
        with pytest.raises(DataError, match=words):
            open_data(tmp_path).splits()
        if "test/" in words:
            with pytest.raises(DataError, match=words):
                load_examples(tmp_path, ("cat", "dog"))


def test_folders_in_classes_are_said(tmp_path):
    make(tmp_path, "a/airfield/1.png", "a/alley/2.png", "b/beach/1.png", "b/bridge/2.png")
    source = open_data(tmp_path)
    assert source.splits().train.classes == ("a", "b")
    assert source.left_out() == [
        "folders inside the class folders, such as airfield and alley, are not used as classes"
    ]
    make(tmp_path / "x", "a/images/1.png", "a/images/2.png", "b/images/1.png", "b/images/2.png")
    assert open_data(tmp_path / "x").left_out() == []


def test_tiny_imagenet_is_read_as_it_is_unpacked(tmp_path):
    wordnet = ("n01", "n02")
    make(tmp_path, *(f"train/{name}/images/{name}_{i}.JPEG" for name in wordnet for i in range(2)),
         *(f"val/images/val_{i}.JPEG" for i in range(3)), "test/images/test_0.JPEG")  # fmt: skip
    rows = [f"val_{i}.JPEG\t{wordnet[i % 2]}\t0\t32\t44\t62" for i in range(3)]
    (tmp_path / "val" / "val_annotations.txt").write_text("\n".join(rows))
    source = open_data(tmp_path)
    splits = source.splits()
    assert (len(splits.train), splits.train.classes) == (4, wordnet)
    assert splits.test.labels.tolist() == [0, 1, 0]
    assert source.left_out() == [
        f"{tmp_path / 'test'}: not used, because it has neither class folders nor a label file"
    ]


def test_what_lies_beside_the_parts_is_said(tmp_path):
    write_photos(tmp_path / "train", COLOURS, 4)
    write_photos(tmp_path / "test", COLOURS, 2)
    write_photos(tmp_path / "holdout", COLOURS, 1)
    (tmp_path / "scripts").mkdir()
    assert open_data(tmp_path).left_out() == [f"not used: {tmp_path / 'holdout'}, with 3 images"]
