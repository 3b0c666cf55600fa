"""What a network has seen before stays on its side: recognised by content, under whatever name."""

import hashlib
import re
import shutil

import pytest

from resnext.data.holdout import Holdout
from resnext.data.seen import Seen
from resnext.data.source import open_data
from resnext.errors import DataError
from support.photos import make, names

pytestmark = pytest.mark.once


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def hashes(examples):
    return {sha256(image) for image in examples.images}


def first_run(folder):
    """What a run has seen that was trained on 12 images of two classes."""
    splits = open_data(make(folder, *(f"{name}/{i:02}.png" for name in "ab" for i in range(6)))).splits()
    return splits, Seen("runs/first", frozenset(hashes(splits.train)), frozenset(hashes(splits.test)))


def test_what_was_held_out_stays_so_and_more_is_drawn_from_new_images(tmp_path):
    before, seen = first_run(tmp_path)
    make(tmp_path, *(f"{name}/new {i}.png" for name in "ab" for i in range(12)))
    for number, image in enumerate([*before.train.images[:3], *before.test.images]):
        shutil.copy(image, image.parent / f"copy {number}.png")
    splits = open_data(tmp_path).splits(Holdout(seed=5), seen)
    assert not hashes(splits.test) & seen.trained
    assert seen.held_out <= hashes(splits.test)
    assert not hashes(splits.test) & hashes(splits.train)
    assert sum("new" in name for name in names(splits.test, tmp_path)) == 2 * (3 - 1)  # of 18 in a class, but copies
    assert splits.notes == (
        "copies: 5 images with the same bytes as another; an image and its copies stay together",
        "held out: 4 images that runs/first held out, and 4 of the 24 that it has not seen",
    )
    again = open_data(tmp_path).splits(Holdout(seed=5), held_out=splits.held_out)
    assert names(again.test, tmp_path) == names(splits.test, tmp_path)
    assert names(again.train, tmp_path) == names(splits.train, tmp_path)


def test_copies_stay_together_without_a_run(tmp_path):
    make(tmp_path, *(f"{name}/{i:02}.png" for name in "ab" for i in range(12)))
    for image in [*tmp_path.glob("*/*.png")]:
        shutil.copy(image, image.parent / f"copy of {image.name}")
    for holdout in (Holdout(), Holdout(folds=3, fold=2), Holdout(group_by=r"(\d)\.png")):
        splits = open_data(tmp_path).splits(holdout)
        assert not hashes(splits.test) & hashes(splits.train)
        assert splits.notes[0].startswith("copies: 24 images with the same bytes")


def test_a_run_of_an_earlier_version_is_known_by_paths(tmp_path):
    before, _ = first_run(tmp_path)
    make(tmp_path, "a/new.png", "b/new.png")
    splits = open_data(tmp_path).splits(Holdout(seed=9), Seen("runs/old", paths=frozenset(before.held_out)))
    assert {*before.held_out} <= {*splits.held_out}


def test_images_of_a_part_that_were_trained_on_are_left_out(tmp_path):
    _, seen = first_run(tmp_path / "old")
    data = make(
        tmp_path / "new", *(f"{part}/{name}/{i}.png" for part in ("train", "test") for name in "ab" for i in "12")
    )
    trained = next(path for path in sorted((tmp_path / "old").glob("*/*.png")) if sha256(path) in seen.trained)
    shutil.copy(trained, data / "test" / "a" / "renamed.png")
    splits = open_data(data).splits(seen=seen)
    assert names(splits.test, data) == [f"test/{name}/{i}.png" for name in "ab" for i in "12"]
    (line,) = splits.notes
    assert re.fullmatch(
        r"left out of the test part: 1 image of 5, on which runs/first was trained, the first .*renamed.png", line
    )
    (data / "test" / "a" / "renamed.png").unlink()
    everything = Seen("runs/first", frozenset(hashes(splits.test)))
    with pytest.raises(DataError, match="runs/first was trained on all 4 images of the test part, the first of them"):
        open_data(data).splits(seen=everything)


def test_what_can_not_be_kept_apart_is_refused(tmp_path):
    _, seen = first_run(tmp_path / "photos")
    data = open_data(tmp_path / "photos")
    everything = Seen("runs/all", seen.trained | seen.held_out)
    with pytest.raises(DataError, match="runs/all was trained on 12 of these 12 images, which leaves none to test on"):
        data.splits(seen=everything)
    with pytest.raises(DataError, match="runs/b held out all images of the class 'b', which leaves none to train on"):
        data.splits(seen=Seen("runs/b", held_out=frozenset(map(sha256, tmp_path.glob("photos/b/*.png")))))
    for fold in (1, 2, 3):
        with pytest.raises(DataError, match=r"that runs/first (trained on|held out) would be .* Leave --folds out, or"):
            data.splits(Holdout(seed=1, folds=3, fold=fold), seen)
    people = make(tmp_path / "people", *(f"{name}/{person}-{i}.png" for name in "ab" for person in "xyz" for i in "12"))
    mixed = Seen("runs/c", frozenset([sha256(people / "a/x-1.png")]), frozenset([sha256(people / "a/x-2.png")]))
    with pytest.raises(DataError, match=r"1 image that runs/c .* by these groups. Leave the groups out, or start from"):
        open_data(people).splits(Holdout(group_by=r"/(\w)-"), mixed)
    one_side = Seen(
        "runs/c", frozenset(map(sha256, people.glob("*/x-*.png"))), frozenset([sha256(people / "a/y-2.png")])
    )
    splits = open_data(people).splits(Holdout(group_by=r"/(\w)-"), one_side)
    assert {path.name[0] for path in splits.test.images} == {"y"}


def test_copies_between_parts_are_counted(tmp_path):
    make(tmp_path, *(f"{part}/{name}/{i}.png" for part in ("train", "val", "test") for name in "ab" for i in "12"))
    for name in "12":
        shutil.copy(tmp_path / "train" / "a" / f"{name}.png", tmp_path / "test" / "b" / f"copy {name}.png")
    assert open_data(tmp_path).splits().notes == (
        "copies: 2 of the 6 test images have the same bytes as a training image, so the accuracy on them is too good; "
        "resnext check-data names them",
    )


def test_classes_of_nothing_but_copies_are_held_out_and_named(tmp_path):
    """As in a first try with images of one colour."""
    for name in ("red", "blue"):
        make(tmp_path, f"{name}/0.png")
        for i in range(1, 12):
            shutil.copy(tmp_path / name / "0.png", tmp_path / name / f"{i}.png")
    make(tmp_path, *(f"green/{i}.png" for i in range(12)))
    splits = open_data(tmp_path).splits()
    assert sorted(path.parent.name for path in splits.test.images) == ["blue"] * 2 + ["green"] * 2 + ["red"] * 2
    assert splits.notes == tuple(
        f"copies: all images of {name!r} have the same bytes, so that its accuracy means nothing"
        for name in ("blue", "red")
    )
