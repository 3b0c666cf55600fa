"""Data sets by name: digits, CIFAR-10 and CIFAR-100, and their local copies."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from resnext.data.builtin import CIFAR
from resnext.errors import DataError
from support.archives import pack
from support.photos import load_examples, load_held_out, load_splits, make, write_photos

pytestmark = pytest.mark.once


def small_cifar(classes):
    """As Keras gives it, with two training images of each class."""
    labels = np.arange(2 * classes).reshape(-1, 1) % classes
    images = np.zeros((2 * classes, 32, 32, 3), np.uint8) + labels[..., None, None].astype(np.uint8)
    return (images, labels), (images[:classes], labels[:classes].astype(np.uint8))


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """No local copies."""
    monkeypatch.setenv("RESNEXT_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(("word", "first", "last"), [("cifar10", "airplane", "truck"), ("cifar100", "apple", "worm")])
def test_cifar_comes_from_keras(nowhere, monkeypatch, capsys, word, first, last, data_format):
    data_set = pytest.importorskip(f"keras.datasets.{word}")

    def load_data():
        print("Downloading data")
        parts = small_cifar(len(CIFAR[word]))
        if data_format == "channels_last":
            return parts
        return tuple((images.transpose(0, 3, 1, 2), labels) for images, labels in parts)

    monkeypatch.setattr(data_set, "load_data", load_data)
    splits = load_splits(word)
    assert splits.validation is splits.test
    assert splits.train.classes == tuple(sorted(splits.train.classes))
    assert (splits.train.classes[0], splits.train.classes[-1]) == (first, last)
    assert f"cifar{len(set(splits.train.classes))}" == word
    assert splits.train.images.shape == (len(splits.train), 32, 32, 3)
    assert splits.test.labels.shape == (len(splits.train.classes),)
    assert splits.test.labels.dtype == np.int32
    np.testing.assert_array_equal(splits.train.images[:, 5, 6, 2], splits.train.labels)
    backwards = load_examples(word, splits.train.classes[::-1])
    assert backwards.labels.tolist() == splits.test.labels.tolist()[::-1]
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Downloading" in captured.err


def test_a_failed_download_says_what_to_do(nowhere, monkeypatch):
    def load_data():
        raise OSError("URL fetch failure on https://x:\n [Errno -3]")

    monkeypatch.setattr(pytest.importorskip("keras.datasets.cifar10"), "load_data", load_data)
    match = (
        r"^cifar10 could not be downloaded \(URL fetch failure on https://x: \[Errno -3\]\). Put a folder cifar10/ or "
        r"an archive cifar10.tar.gz .* into a folder, and set RESNEXT_DATA to that folder\.$"
    )
    with pytest.raises(DataError, match=match):
        load_splits("cifar10")


@pytest.mark.parametrize("name", ["cifar10", "cifar10.tar", "cifar10.tar.gz"])
@pytest.mark.parametrize("place", ["variable", "here"])
def test_a_local_copy_goes_before_the_download(nowhere, monkeypatch, name, place):
    monkeypatch.setitem(sys.modules, "keras.datasets.cifar10", SimpleNamespace())
    folder = write_photos(nowhere / "photos", {"cat": (200, 0, 0), "dog": (0, 200, 0)}, 2)
    home = nowhere / "home"
    home.mkdir()
    if name == "cifar10":
        folder.rename(home / name)
    else:
        pack(folder, home / name)
    if place == "here":
        monkeypatch.delenv("RESNEXT_DATA")
        monkeypatch.chdir(home)
    else:
        monkeypatch.setenv("RESNEXT_DATA", str(home))
    splits = load_splits("cifar10")
    assert splits.train.classes == ("cat", "dog")
    assert name in str(splits.train.images[0])
    held_out, missing = load_held_out("cifar10", splits.held_out, ("cat", "dog"))
    assert (len(held_out), missing) == (2, [])


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


def test_digits_to_judge_by_take_the_given_order():
    pytest.importorskip("sklearn.datasets")
    backwards = tuple("9876543210")
    np.testing.assert_array_equal(load_examples("digits", backwards).labels, 9 - load_splits("digits").test.labels)
    with pytest.raises(DataError, match="digits has classes that training has not seen: '0'"):
        load_examples("digits", ("cat", "dog"))
