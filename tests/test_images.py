import contextlib
import os
import shutil
import subprocess
import sys
import unicodedata

import numpy as np
import pytest
from conftest import REPOSITORY, load_examples, load_splits
from PIL import Image

from resnext.data.check import check_images
from resnext.data.examples import Examples
from resnext.data.source import open_data
from resnext.errors import DataError
from resnext.images.decode import read_image

pytestmark = pytest.mark.once


def make(root, *paths):
    """Tiny images at the given paths below `root`."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(root / path, format="PNG")
    return root


def names(examples, root):
    return [str(path.relative_to(root)) for path in examples.images]


# Layouts


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


@pytest.mark.parametrize("below", ["", "train/"])
def test_one_sixth_of_each_class_is_drawn_for_testing(tmp_path, below):
    files = [f"{below}{name}/{i}.png" for name, count in (("a", 13), ("b", 3), ("c", 1)) for i in range(count)]
    splits = load_splits(make(tmp_path, *files), seed=3)
    assert np.bincount(splits.test.labels, minlength=3).tolist() == [2, 1, 0]
    assert np.bincount(splits.train.labels).tolist() == [11, 2, 1]
    assert sorted(names(splits.train, tmp_path) + names(splits.test, tmp_path)) == sorted(files)
    assert splits.validation is splits.test


def test_drawn_split_depends_on_seed_and_names_alone(tmp_path, monkeypatch):
    files = [f"{name}/{i:02}.png" for name in "ab" for i in range(30)]
    here, there = make(tmp_path / "x", *files), make(tmp_path / "y", *files[::-1])
    scandir = os.scandir
    drawn = names(load_splits(here, 1).test, here)

    def backwards(folder):
        return contextlib.nullcontext(sorted(scandir(folder), key=str, reverse=True))

    monkeypatch.setattr(os, "scandir", backwards)
    assert names(load_splits(there, 1).test, there) == drawn
    assert names(load_splits(there, 2).test, there) != drawn
    make(there, "b/30.png")
    assert names(load_splits(there, 1).test, there)[:5] == drawn[:5]  # class a


@pytest.mark.parametrize("name", ["ünï 猫 🐈", "two\nlines"])
def test_odd_class_and_file_names(tmp_path, name):
    splits = load_splits(make(tmp_path, *(f"{part}/{c}/{name}.png" for part in ("train", "test") for c in ("a", name))))
    assert splits.train.classes == ("a", name)
    check_images(splits.train)
    check_images(splits.train, read_image)


@pytest.mark.parametrize("load", [load_splits, lambda data: load_examples(data, ("a", "b"))])
def test_class_name_that_is_not_utf_8_is_refused(tmp_path, load):
    name = os.fsdecode(b"caf\xe9")
    with pytest.raises(
        DataError, match=r"caf\\udce9': its name is not UTF-8, which class names must be; rename the folder$"
    ):
        load(make(tmp_path, "a/1.png", f"{name}/1.png"))


# Links


def test_link_that_leaves_the_folder_is_refused(tmp_path):
    root = make(tmp_path / "data", "a/1.png", "b/1.png")
    outside = make(tmp_path / "outside", "x.png", "c/x.png")
    cases = [
        ("a/link.png", outside / "x.png"),
        ("c", outside / "c"),
        ("test", outside),
        ("b/gone.png", "../../no"),
    ]
    for name, target in cases:
        (root / name).symlink_to(target)
        with pytest.raises(DataError, match=f"{name} is a link that leads out of .*data; pass --follow-links"):
            load_splits(root)
        if name == "a/link.png":
            assert open_data(root, follow_links=True).splits().train
        (root / name).unlink()
    assert len(load_splits(make(root, "a/2.png")).test) == 1


def test_links_inside_the_folder_are_followed_and_loops_end(tmp_path):
    root = make(tmp_path / "real", "a/1.png", "b/1.png", "b/2.png")
    (root / "c").symlink_to("b")
    (root / "a" / "2.png").symlink_to("1.png")
    (root / "a" / "up").symlink_to("..")
    (tmp_path / "data").symlink_to(root)
    splits = load_splits(tmp_path / "data")
    assert splits.train.classes == ("a", "b", "c")
    assert len(splits.train) + len(splits.test) == 6


# Refusals


@pytest.mark.parametrize(
    ("paths", "pattern"),
    [
        (
            [],
            r"no images in class folders in .*: DATA/<class>.*DATA/train/<class>.*\.jpeg .*\.webp$",
        ),
        (["1.png", "2.png"], "no images in class folders in"),
        (["train/1.png", "test/2.png"], "no images in class folders in .*train;"),
        (["a/1.png", "a/2.png"], "one class only, 'a'.*two or more"),
        (["a/1.png", "b/1.png"], "every class has one image only"),
        (["test/a/1.png", "test/b/1.png"], "has test but no train; training needs DATA/"),
        (
            ["train/a/1.png", "train/b/1.png", "val/a/1.png", "validation/a/1.png"],
            "has val and validation; keep one",
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
        DataError, match=r"nowhere does not exist; pass a folder of images, an archive .*built-in data set: digits, c"
    ):
        load(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="file is neither a folder nor an archive; pass a folder"):
        load(tmp_path / "file")


def test_an_empty_class_is_refused_in_training_and_judged_without(tmp_path):
    data = make(tmp_path / "data", "train/a/1.png", "train/b/1.png", "val/a/1.png")
    (data / "val" / "b").mkdir()
    assert load_splits(data).test.labels.tolist() == [0]
    assert load_examples(data, ("a", "b")).labels.tolist() == [0]
    (data / "train" / "c").mkdir()
    with pytest.raises(DataError, match=r"no images in .*data/train/c; add some or remove the folder"):
        load_splits(data)


# Digits


def test_digits_are_whole_and_every_sixth_of_a_class_is_for_testing():
    datasets = pytest.importorskip("sklearn.datasets")
    digits, splits = datasets.load_digits(), load_splits("digits")
    assert splits.validation is splits.test
    assert splits.train.classes == tuple("0123456789")
    assert len(splits.train) + len(splits.test) == 1797
    assert splits.train.images.dtype == np.uint8
    assert splits.train.labels.dtype == np.int32
    threes = digits.images[digits.target == 3]
    mine = splits.test.images[splits.test.labels == 3]
    np.testing.assert_array_equal(mine[..., 1], np.rint(threes[5::6] / 16 * 255))
    others = splits.train.images[splits.train.labels == 3]
    np.testing.assert_array_equal(others[..., 2], np.rint(np.delete(threes, np.s_[5::6], axis=0) / 16 * 255))


def test_digits_without_scikit_learn_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match=r"needs the package scikit-learn: pip install 'resnext\[datasets\]'"):
        load_splits("digits")


def test_a_folder_called_digits_is_reached_by_its_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make(tmp_path, *(f"digits/{name}/{i}.png" for name in "ab" for i in range(2)))
    assert load_splits("./digits").train.classes == ("a", "b")


# Examples to judge by


def test_test_folder_goes_before_validation_before_class_folders(tmp_path):
    root = make(tmp_path, "val/b/1.png", "test/a/1.png", "train/a/0.png")
    assert names(load_examples(root, ("b", "a")), root) == ["test/a/1.png"]
    shutil.rmtree(root / "test")
    assert names(load_examples(root, ("b", "a")), root) == ["val/b/1.png"]
    shutil.rmtree(root / "val")
    with pytest.raises(DataError, match=r"has train but neither test nor val; to evaluate on it pass .*train$"):
        load_examples(root, ("b", "a"))
    assert names(load_examples(root / "train", ("b", "a")), root) == ["train/a/0.png"]


def test_labels_follow_the_classes_given_not_the_folders(tmp_path):
    make(tmp_path, "a/1.png", "b/1.png", "b/2.png")
    examples = load_examples(tmp_path, ["c", "b", "a"])
    assert examples.labels.tolist() == [2, 1, 1]
    assert examples.labels.dtype == np.int32
    assert examples.classes == ("c", "b", "a")


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_class_names_match_in_any_unicode_form(tmp_path, forms):
    folder, known = (unicodedata.normalize(form, "crème") for form in forms)
    assert load_examples(make(tmp_path, f"{folder}/1.png"), ("x", known)).labels.tolist() == [1]


def test_unknown_classes_are_all_named(tmp_path):
    make(tmp_path, "a/1.png", "cats/1.png", "zebra/1.png")
    with pytest.raises(DataError, match=r"training has not seen: 'cats' \(did you mean 'cat'\?\), 'zebra'$"):
        load_examples(tmp_path, ("a", "cat"))


def test_digits_to_judge_by_take_the_given_order():
    pytest.importorskip("sklearn.datasets")
    backwards = tuple("9876543210")
    np.testing.assert_array_equal(load_examples("digits", backwards).labels, 9 - load_splits("digits").test.labels)
    with pytest.raises(DataError, match="digits has classes that training has not seen: '0'"):
        load_examples("digits", ("cat", "dog"))


# Headers


def test_unreadable_images_are_counted_and_three_are_named(tmp_path):
    make(tmp_path, *(f"{name}/{i}.png" for name in "ab" for i in range(10)))
    examples = load_examples(tmp_path, ("a", "b"))
    check_images(examples)
    for name in ("a/3.png", "a/5.png", "b/2.png"):
        (tmp_path / name).write_text("text")
    with pytest.raises(
        DataError,
        match=r"^3 of 20 images can't be read: \S+a/3.png: not .*; \S+a/5.*; \S+b/2.*image\. R",
    ):
        check_images(examples)
    (tmp_path / "b/9.png").write_text("")
    with pytest.raises(DataError, match=r"^4 of 20 .*b/2.png: [^;]*; \.\.\.\. Repair"):
        check_images(examples)


def test_arrays_have_no_headers_to_check():
    check_images(Examples(np.zeros((3, 8, 8, 3), np.uint8), np.arange(3, dtype=np.int32), tuple("abc")))


def test_keras_grain_and_scikit_learn_are_not_imported_before_use():
    code = (
        "import sys, resnext.data.source, resnext.data.batches\n"
        "print([name for name in ('keras', 'grain', 'sklearn') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True).stdout == "[]\n"
