"""Class folders: odd names, links, and labels that follow the classes."""

import os
import unicodedata

import numpy as np
import pytest

from resnext.data.check import check_images
from resnext.data.source import open_data
from resnext.errors import DataError
from resnext.images.decode import read_image
from support.photos import load_examples, load_splits, make

pytestmark = pytest.mark.once


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


def test_an_empty_class_is_refused_in_training_and_judged_without(tmp_path):
    data = make(tmp_path / "data", "train/a/1.png", "train/b/1.png", "val/a/1.png")
    (data / "val" / "b").mkdir()
    assert load_splits(data).test.labels.tolist() == [0]
    assert load_examples(data, ("a", "b")).labels.tolist() == [0]
    (data / "train" / "c").mkdir()
    with pytest.raises(DataError, match=r"no images in .*data/train/c; add some or remove the folder"):
        load_splits(data)


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
