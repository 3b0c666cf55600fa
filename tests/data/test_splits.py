"""Which images are held out: shares, folds and whole groups."""

import contextlib
import os
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from resnext.data.holdout import Holdout, groups_of, held_out_mask
from resnext.data.source import open_data
from resnext.errors import ArgumentError, DataError
from support.photos import flat, load_splits, make, names, picture

pytestmark = pytest.mark.once


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
    with pytest.raises(
        DataError, match=r"^fold 9 of 9 is empty, because there are too few images in a class; use fewer"
    ):
        open_data(tmp_path).splits(Holdout(folds=9, fold=9))
    with pytest.raises(
        DataError, match=r"^fold 3 of 3 is empty, because there are too few groups in a class; use fewer"
    ):
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
        (
            {"folds": 5},
            "`folds` and `fold` belong together: 5 and 1 hold out the first fifth (cross_validate trains for all). "
            "Received: 5 and None",
        ),
        ({"folds": 5, "fold": 6}, "`folds` must be 2 or more, and `fold` from 1 to `folds`. Received: 5 and 6"),
        ({"folds": 1, "fold": 1}, "`folds` must be 2 or more, and `fold` from 1 to `folds`. Received: 1 and 1"),
        ({"folds": 5, "fold": 1, "held_out": 0.2}, "`held_out` and `folds` cannot be combined"),
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
        with pytest.raises(ArgumentError, match=r"draw images to test on, and .* already has some\. Leave them out"):
            open_data(tmp_path).splits(draw)
    with pytest.raises(ArgumentError, match=r"and digits already has some"):
        open_data("digits").splits(Holdout(folds=3, fold=1))
