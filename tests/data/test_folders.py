"""Folders as people have them, from phones, cameras, NAS, competitions: nothing is lost in silence."""

import shutil

import numpy as np
import pytest

from resnext.data.source import open_data
from resnext.images.decode import read_image
from support.command import resnext
from support.photos import COLOURS, load_splits, photo, write_photos

pytestmark = pytest.mark.once


def counted(data) -> int:
    splits = load_splits(data)
    return len(splits.train) + len(splits.test)


@pytest.mark.parametrize(
    ("name", "form"),
    [("a.jfif", "JPEG"), ("a.jpe", "JPEG"), ("a.TIF", "TIFF"), ("a.tiff", "TIFF"), ("a.avif", "AVIF"), ("a.pgm", "PPM"),
     ("a.ppm", "PPM"), ("a.dib", "BMP")],
)  # fmt: skip
def test_every_common_suffix_is_read(name, form, tmp_path):
    for seed in (3, 2, 1, 0):
        image = photo(seed=seed).convert("L" if name.endswith("pgm") else "RGB")
        file = tmp_path / "ab"[seed // 2] / f"{seed % 2}{name}"
        file.parent.mkdir(exist_ok=True)
        image.save(file, format=form)
    assert counted(tmp_path) == 4
    read = read_image(tmp_path / "a" / f"0{name}")
    assert np.abs(read.astype(int) - np.asarray(image.convert("RGB"), int)).mean() < 12


def test_whatever_is_left_out_is_counted_by_kind(tmp_path):
    data = write_photos(tmp_path / "data", COLOURS, 4)
    for name in ("x.cr3", "y.cr3", "notes.txt", "RAW"):
        (data / "red" / name).write_text("?")
    (data / "red" / "deeper").mkdir()
    (data / "red" / "deeper" / "z.cr2").write_text("?")
    words = "left out: 2 .cr3, 1 .txt, 1 without a suffix, 1 .cr2"
    assert sorted(open_data(data).left_out()[0].split(", ")) == sorted(words.split(", "))
    shutil.make_archive(str(tmp_path / "data"), "tar", tmp_path, "data")
    assert open_data(tmp_path / "data.tar").left_out()[0].startswith("left out: 2 .cr3, ")
    assert "left out: 2 .cr3, " in resnext("check-data", data).stdout
    process = resnext("train", data, "--variant", "resnet8", "--recipe", "smoke", "--image-size", 16, "--out",
                      tmp_path / "run")  # fmt: skip
    assert "resnext: left out: 2 .cr3, " in process.stderr


def test_what_systems_leave_beside_photos_is_never_data(tmp_path):
    data = write_photos(tmp_path / "data", COLOURS, 6)
    for below in ("red/@eaDir/000.png", "@eaDir", "__MACOSX/red", "lost+found"):
        folder = data / below
        folder.mkdir(parents=True, exist_ok=True)
        photo().save(folder / "SYNOPHOTO_THUMB_M.jpg")
    (data / "red" / "Thumbs.db").write_text("?")
    assert counted(data) == 18
    assert load_splits(data).train.classes == ("blue", "green", "red")
    (words,) = open_data(data).left_out()
    assert sorted(words.removeprefix("left out: ").split(", ")) == [
        "1 Thumbs.db", "1 in __MACOSX", "1 in lost+found", "2 in @eaDir",
    ]  # fmt: skip
