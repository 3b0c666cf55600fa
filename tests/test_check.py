"""`resnext check-data`."""

import numpy as np
import pytest
from conftest import refusal, resnext, write_photos
from PIL import Image
from test_archives import pack

from resnext import check_data
from resnext.data.check import PartReport

pytestmark = pytest.mark.once

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
    *table, train, test, in_train, contradictions = process.stdout.splitlines()
    rows = [["class", "train", "validation", "and", "test"], ["[a]", "4", "2"], ["b", "4", "2"]]
    assert [line.split() for line in table] == rows
    assert train == "train: 8 images (8 PNG); smallest, median, largest: 24x24, 24x24, 24x24"
    assert test == "validation and test: 4 images (4 PNG); smallest, median, largest: 30x20, 31x20, 31x20"
    assert in_train == "images of other parts that are in train as well: 0"
    assert contradictions == "images with the same pixels as one of another class: 0"
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
        "images with the same pixels as one of another class: 1",
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
            Image.new("RGB", size).save(tmp_path / name / f"{i}.png")
    report = check_data(tmp_path)
    assert report.contradictions == ()
    assert len(report.in_train_too) == 2
