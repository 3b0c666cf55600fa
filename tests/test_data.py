import gc
import os
import shutil
import subprocess
import sys
import threading
import time
import unicodedata
from itertools import islice
from pathlib import Path

import grain
import numpy as np
import pytest
from PIL import Image

from resnext import data as data_module
from resnext.augment import flip, pad_and_crop
from resnext.data import (
    DataError,
    Examples,
    check_images,
    evaluation_batches,
    load_examples,
    load_splits,
    steps_per_epoch,
    training_batches,
)
from resnext.preprocessing import ImageError, Preprocessing

EIGHT = Preprocessing(8, 8)


def make(root, *paths):
    """Tiny images at the given paths below `root`."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(root / path, format="PNG")
    return root


def names(examples, root):
    return [str(path.relative_to(root)) for path in examples.images]


def numbered(count):
    """Examples whose image i is filled with the value i and whose label is i."""
    images = np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 3), np.uint8)
    return Examples(images, np.arange(count, dtype=np.int32), tuple(map(str, range(count))))


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
    listdir = os.listdir
    drawn = names(load_splits(here, 1).test, here)
    monkeypatch.setattr(os, "listdir", lambda folder: sorted(listdir(folder), reverse=True))
    assert names(load_splits(there, 1).test, there) == drawn
    assert names(load_splits(there, 2).test, there) != drawn
    make(there, "b/30.png")
    assert names(load_splits(there, 1).test, there)[:5] == drawn[:5]  # class a


@pytest.mark.parametrize("name", ["ünï 猫 🐈", "two\nlines"])
def test_odd_class_and_file_names(tmp_path, name):
    splits = load_splits(make(tmp_path, *(f"{part}/{c}/{name}.png" for part in ("train", "test") for c in ("a", name))))
    assert splits.train.classes == ("a", name)
    check_images(splits.train)
    assert next(iter(training_batches(splits.train, EIGHT, (), 2, 0)))[0].shape == (2, 8, 8, 3)


@pytest.mark.parametrize("load", [load_splits, lambda data: load_examples(data, ("a", "b"))])
def test_class_name_that_is_not_utf_8_is_refused(tmp_path, load):
    name = os.fsdecode(b"caf\xe9")
    with pytest.raises(
        DataError, match=r"caf\\udce9': its name is not UTF-8, which a class name is; rename the folder$"
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
        with pytest.raises(DataError, match=f"{name} is a link that leaves .*data; copy its target"):
            load_splits(root)
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
            r"test has classes that training has not: 'dgo' \(did you mean 'dog'\?\), 'xyz'$",
        ),
        (
            ["train/é/1.png", "train/e\u0301/1.png", "test/é/1.png"],
            "differ in nothing but their Unicode form",
        ),
    ],
)
def test_data_that_cannot_be_trained_on_is_refused(tmp_path, paths, pattern):
    with pytest.raises(DataError, match=pattern) as caught:
        load_splits(make(tmp_path, *paths))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("load", [load_splits, lambda data: load_examples(data, ("a", "b"))])
def test_missing_folders_files_and_empty_classes_are_refused(tmp_path, load):
    with pytest.raises(DataError, match="nowhere does not exist; give a folder of images or the word digits"):
        load(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="file is not a folder; give a folder"):
        load(tmp_path / "file")
    (make(tmp_path / "data", "a/1.png", "a/2.png") / "b").mkdir()
    with pytest.raises(DataError, match=r"no images in .*data/b; add some or remove the folder"):
        load(tmp_path / "data")


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
    with pytest.raises(DataError, match=r"need the package scikit-learn: pip install 'resnext\[datasets\]'"):
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
    with pytest.raises(DataError, match=r"has train but neither test nor val; to judge on it give .*train$"):
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
    with pytest.raises(DataError, match=r"training has not: 'cats' \(did you mean 'cat'\?\), 'zebra'$"):
        load_examples(tmp_path, ("a", "cat"))


def test_digits_to_judge_by_take_the_given_order():
    pytest.importorskip("sklearn.datasets")
    backwards = tuple("9876543210")
    np.testing.assert_array_equal(load_examples("digits", backwards).labels, 9 - load_splits("digits").test.labels)
    with pytest.raises(DataError, match="digits has classes that training has not: '0'"):
        load_examples("digits", ("cat", "dog"))


# Headers


def test_unreadable_images_are_counted_and_three_are_named(tmp_path):
    make(tmp_path, *(f"{name}/{i}.png" for name in "ab" for i in range(10)))
    examples = load_examples(tmp_path, ("a", "b"))
    check_images(examples)
    for name in ("a/3.png", "a/5.png", "b/2.png"):
        (tmp_path / name).write_text("text")
    with pytest.raises(DataError, match=r"^3 of 20 images can't be read: \S+a/3.png: not .*; \S+a/5.*; \S+b/2.*image$"):
        check_images(examples)
    (tmp_path / "b/9.png").write_text("")
    with pytest.raises(DataError, match=r"^4 of 20 .*b/2.png: [^;]*; \.\.\.$"):
        check_images(examples)


def test_arrays_have_no_headers_to_check():
    check_images(numbered(3))


# Training batches


def test_every_epoch_is_a_new_permutation_without_loss():
    examples = numbered(23)
    batches = list(islice(training_batches(examples, EIGHT, (), 4, seed=0), 3 * 5))
    assert steps_per_epoch(examples, 4) == 5
    assert {(images.shape, images.dtype, labels.dtype) for images, labels in batches} == {
        ((4, 8, 8, 3), np.dtype(np.uint8), np.dtype(np.int32))
    }
    epochs = [np.concatenate([labels for _, labels in batches[i : i + 5]]).tolist() for i in (0, 5, 10)]
    assert [len(set(epoch)) for epoch in epochs] == [20, 20, 20]
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert len({frozenset(epoch) for epoch in epochs}) > 1  # another remainder is left out
    for images, labels in batches:
        np.testing.assert_array_equal(images[:, 3, 4, 1], labels)


def test_a_batch_larger_than_the_data_is_the_data():
    examples = numbered(5)
    assert steps_per_epoch(examples, 64) == 1
    batches = islice(training_batches(examples, EIGHT, (), 64, 0), 3)
    assert [sorted(labels.tolist()) for _, labels in batches] == [[0, 1, 2, 3, 4]] * 3


def augmented(seed):
    noise = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 3), dtype=np.uint8)
    examples = Examples(noise, np.arange(30, dtype=np.int32), tuple(map(str, range(30))))
    augmentations = (lambda image, rng: pad_and_crop(image, 2, (1, 2, 3), rng), flip)
    return training_batches(examples, EIGHT, augmentations, 4, seed)


def as_bytes(batches):
    return [(images.tobytes(), labels.tobytes()) for images, labels in batches]


@pytest.mark.parametrize("threads", [0, 1, 5])
def test_batches_depend_on_seed_and_index_alone(monkeypatch, threads):
    first = as_bytes(islice(augmented(7), 20))
    monkeypatch.setattr(data_module, "_read_ahead", lambda: grain.ReadOptions(threads, threads))
    assert as_bytes(islice(augmented(7), 20)) == first
    assert as_bytes(islice(augmented(8), 20)) != first
    later = iter(augmented(7))
    later.set_state({"next_index": 11})
    assert as_bytes(islice(later, 9)) == first[11:]


def test_augmentations_draw_anew_for_each_sample_and_epoch():
    examples = Examples(np.zeros((6, 8, 8, 3), np.uint8), np.arange(6, dtype=np.int32), tuple("abcdef"))
    draws = (lambda image, rng: image + rng.integers(0, 256, image.shape, dtype=np.uint8),)
    batches = islice(training_batches(examples, EIGHT, draws, 3, 0), 8)
    assert len({image.tobytes() for images, _ in batches for image in images}) == 24


def test_augmentations_come_in_order_after_preprocessing():
    shapes = []
    augmentations = (lambda image, rng: shapes.append(image.shape) or image + 1, lambda image, rng: image * 2)
    examples = Examples(np.zeros((2, 9, 12, 3), np.uint8), np.zeros(2, np.int32), ("a", "b"))
    images, _ = next(iter(training_batches(examples, EIGHT, augmentations, 2, 0)))
    assert set(shapes) == {(8, 8, 3)}
    assert images.min() == images.max() == 2


@pytest.mark.parametrize("batches", [lambda *a: training_batches(*a, (), 2, 0), lambda *a: evaluation_batches(*a, 2)])
def test_image_that_cannot_be_read_reaches_the_consumer_as_it_is(tmp_path, batches):
    make(tmp_path, "a/1.png", "b/1.png")
    examples = load_examples(tmp_path, ("a", "b"))
    (tmp_path / "b/1.png").write_text("text")
    with pytest.raises(ImageError) as caught:
        next(iter(batches(examples, EIGHT)))
    assert type(caught.value) is ImageError
    assert str(caught.value) == f"{tmp_path}/b/1.png: not a JPEG, PNG, WEBP, BMP or GIF image"


# Evaluation batches


@pytest.mark.parametrize(("count", "valid"), [(10, [4, 4, 2]), (8, [4, 4]), (4, [4])])
def test_evaluation_is_in_order_and_the_last_batch_is_filled_up(count, valid):
    batches = list(evaluation_batches(numbered(count), EIGHT, 4))
    assert [n for _, n in batches] == valid
    assert {(images.shape, images.dtype) for images, _ in batches} == {((4, 8, 8, 3), np.dtype(np.uint8))}
    assert [value for images, n in batches for value in images[:n, 0, 0, 0]] == list(range(count))
    images, n = batches[-1]
    np.testing.assert_array_equal(images[n:], images[n - 1 : n].repeat(4 - n, axis=0))


def test_an_evaluation_batch_larger_than_the_data_is_the_data():
    ((images, valid),) = evaluation_batches(numbered(3), EIGHT, 10**12)
    assert (images.shape, valid) == ((3, 8, 8, 3), 3)


def test_evaluation_can_be_read_twice():
    batches = evaluation_batches(numbered(6), EIGHT, 4)
    assert len(list(batches)) == len(list(batches)) == 2


# Threads


def readers():
    return [thread for thread in threading.enumerate() if thread.name.startswith("grain-prefetch")]


def test_dropping_an_iterator_ends_its_threads():
    before = set(readers())
    batches = iter(augmented(0))
    next(batches)
    assert set(readers()) - before
    del batches
    gc.collect()
    deadline = time.monotonic() + 10
    while set(readers()) - before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not set(readers()) - before


def test_an_iterator_in_use_does_not_hold_up_the_exit():
    code = (
        "import numpy as np; from resnext.data import *\n"
        "examples = Examples(np.zeros((64, 8, 8, 3), np.uint8), np.zeros(64, np.int32), ('a', 'b'))\n"
        "batches = iter(training_batches(examples, Preprocessing(8, 8), (), 4, 0))\n"
        "next(batches); print('done')"
    )
    root = Path(data_module.__file__).parents[1]
    run = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stdout, run.stderr) == (0, "done\n", "")


def test_keras_grain_and_scikit_learn_are_not_imported_before_use():
    code = "import sys, resnext.data; print([n for n in ('keras', 'grain', 'sklearn') if n in sys.modules])"
    root = Path(data_module.__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True).stdout == "[]\n"
