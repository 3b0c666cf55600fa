"""`check_data` and `resnext check-data`, and images that can't be read: named, counted, left out."""

import numpy as np
import pytest
from PIL import Image

from resnext import check_data
from resnext.data.check import PartReport, check_images, drop_unreadable
from resnext.data.examples import Examples
from resnext.errors import DataError
from support.archives import pack
from support.command import refusal, resnext
from support.photos import load_examples, make, write_photos

pytestmark = pytest.mark.once


def test_a_number_or_a_share_of_the_images_may_be_left_out(tmp_path):
    make(tmp_path, "a/0.png", "b/0.png")
    good, bad = tmp_path / "a/0.png", tmp_path / "b/0.png"
    bad.write_bytes(good.read_bytes()[:-30])  # the header is whole

    def examples(*places, count):
        images = [bad if i in places else good for i in range(count)]
        return Examples(images, np.arange(count, dtype=np.int32) % 2, ("a", "b"))

    kept, faults = drop_unreadable(examples(3, 1500, count=2000), 2)
    assert len(drop_unreadable(examples(3, 1500, count=2000), 0.001)[0]) == 1998
    assert len(kept) == len(kept.images) == 1998
    assert kept.labels.tolist() == [i % 2 for i in range(2000) if i not in (3, 1500)]
    assert set(kept.images) == {good}
    assert [fault.startswith(f"{bad}: ") for fault in faults] == [True, True]
    whole = examples(count=10)
    assert drop_unreadable(whole, 1) == (whole, [])
    match = r"^1 of 999 images can't be read, and --skip-bad 0.001 leaves out at most 0: \S+b/0.png: [^;]*$"
    with pytest.raises(DataError, match=match):
        drop_unreadable(examples(5, count=999), 0.001)
    with pytest.raises(DataError, match=r"^4 of 2000 .* at most 2: .*(\S+b/0.png: [^;]*; ){3}\.\.\.$"):
        drop_unreadable(examples(1, 2, 3, 4, count=2000), 2)


def test_arrays_are_readable():
    examples = Examples(np.zeros((3, 8, 8, 3), np.uint8), np.arange(3, dtype=np.int32), tuple("abc"))
    assert drop_unreadable(examples, 1) == (examples, [])


COLOURS = {"[a]": (200, 40, 40), "b": (40, 200, 40)}


@pytest.fixture
def photos(tmp_path):
    """Two classes, four images of each to train and two to test."""
    for part, images in (("train", 4), ("test", 2)):
        write_photos(tmp_path / "data" / part, COLOURS, images)
    for name in COLOURS:  # the same generator drew the photos of both parts
        for i in range(2):
            image = Image.open(tmp_path / f"data/test/{name}/{i:03}.png")
            image.resize((30 + i, 20), Image.Resampling.NEAREST).save(tmp_path / f"data/test/{name}/{i:03}.png")
    return tmp_path / "data"


def test_good_data_is_counted(photos):
    process = resnext("check-data", photos)
    assert process.returncode == 0, process.stderr
    labels, *table, train, test, in_train, contradictions = process.stdout.splitlines()
    assert labels == f"labels: the folders in {photos / 'train'}"
    rows = [["class", "train", "validation", "and", "test"], ["[a]", "4", "2"], ["b", "4", "2"]]
    assert [line.split() for line in table] == rows
    assert train == "train: 8 images (8 PNG); smallest, median, largest: 24x24, 24x24, 24x24"
    assert test == "validation and test: 4 images (4 PNG); smallest, median, largest: 30x20, 31x20, 31x20"
    assert in_train == "images of other parts that are in train as well: 0"
    assert contradictions == "images with the same pixels as an image of another class: 0"
    assert process.stderr == "train: 8 images read\nvalidation and test: 4 images read\n"


def spoil(photos):
    """A cut JPEG, a text called .png, a test image that is in train under another name and in another format."""
    Image.open(photos / "train/b/000.png").convert("RGB").save(photos / "test/b/leaked.bmp")
    Image.open(photos / "train/b/001.png").save(photos / "train/[a]/other.webp", lossless=True)
    Image.open(photos / "train/b/002.png").save(photos / "train/b/cut.jpg")
    content = (photos / "train/b/cut.jpg").read_bytes()
    (photos / "train/b/cut.jpg").write_bytes(content[: len(content) // 2])
    (photos / "test/[a]/text.png").write_text("text")


@pytest.mark.parametrize("form", ["folder", "archive"])
def test_bad_files_and_duplicates_are_named(photos, tmp_path, form):
    spoil(photos)
    data = pack(photos, tmp_path / "data.tar.gz", "top/") if form == "archive" else photos
    top = f"{data}/top" if form == "archive" else str(data)
    process = resnext("check-data", data)
    assert refusal(process) == "2 of 16 images can't be read, for the reasons above; repair or remove them"
    assert process.stderr.endswith("repair or remove them\n")
    lines = process.stdout.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("images of other parts"))
    assert lines[start:-2] == [
        "images of other parts that are in train as well: 1",
        f"  {top}/test/b/leaked.bmp = {top}/train/b/000.png",
        "images with the same pixels as an image of another class: 1",
        f"  {top}/train/[a]/other.webp = {top}/train/b/001.png",
    ]
    assert lines[-2].startswith(f"can't be read: {top}/train/b/cut.jpg: ")
    assert (
        lines[-1]
        == f"can't be read: {top}/test/[a]/text.png: not a JPEG, PNG, WEBP, BMP, GIF, TIFF, AVIF, PPM or HEIF image"
    )


def test_the_report_has_it_all(photos):
    spoil(photos)
    report = check_data(photos)
    train, test = report.parts
    assert train == PartReport("train", 10, {"[a]": 5, "b": 4}, {"PNG": 8, "WEBP": 1}, ((24, 24),) * 3)
    assert (test.images, test.counts, test.formats) == (6, {"[a]": 2, "b": 3}, {"PNG": 4, "BMP": 1})
    assert test.sizes == ((24, 24), (30, 20), (31, 20))
    assert report.images == 16
    assert (len(report.in_train_too), len(report.contradictions), len(report.bad)) == (1, 1, 2)


def test_three_parts_are_three_columns(photos):
    (photos / "train").joinpath("b/000.png").rename(photos / "moved.png")
    for part in ("val", "train"):
        (photos / part / "b").mkdir(parents=True, exist_ok=True)
        (photos / part / "b/x.png").write_bytes((photos / "moved.png").read_bytes())
    report = check_data(photos)
    assert [part.name for part in report.parts] == ["train", "validation", "test"]
    assert report.in_train_too == ((f"{photos}/val/b/x.png", f"{photos}/train/b/x.png"),)


def test_words_are_checked_too():
    pytest.importorskip("sklearn")
    report = check_data("digits")
    assert report.images == 1797
    assert [part.formats for part in report.parts] == [{"array": 1501}, {"array": 296}]
    assert sum(report.parts[0].counts.values()) == 1501
    assert report.parts[1].sizes == ((8, 8),) * 3
    assert report.bad == ()


def test_arrays_have_numbers_for_names(monkeypatch):
    from resnext.data.examples import Examples
    from resnext.data.source import DataSource
    from resnext.data.splits import Splits

    images = np.zeros((2, 8, 8, 3), np.uint8)
    part = Examples(images, np.array([0, 1], np.int32), ("a", "b"))
    monkeypatch.setattr(DataSource, "splits", lambda self: Splits(part, part, part))
    report = check_data("digits")
    assert report.contradictions[0] == ("train[0]", "train[1]")
    assert report.in_train_too == (("validation and test[0]", "train[0]"), ("validation and test[1]", "train[0]"))


def test_shape_counts_as_well_as_pixels(tmp_path):
    for name, size in (("a", (4, 6)), ("b", (6, 4))):
        (tmp_path / name).mkdir()
        for i in range(2):
            Image.new("RGB", size).save(tmp_path / name / f"{i}.png", compress_level=i)
    report = check_data(tmp_path)
    assert report.contradictions == ()
    assert len(report.in_train_too) == 2


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


def test_classes_that_look_alike_are_said(tmp_path):
    write_photos(tmp_path, dict.fromkeys(("dog", "dog ", "Cat", "cat", "big cat", "big_cat", "bird"), (9, 9, 9)), 2)
    assert check_data(tmp_path).left_out == (
        "classes: 'big cat' and 'big_cat' look alike; are they one class?",
        "classes: 'Cat' and 'cat' look alike; are they one class?",
        "classes: 'dog' and 'dog ' look alike; are they one class?",
    )
