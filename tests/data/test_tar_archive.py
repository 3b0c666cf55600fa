"""Data sets in tar archives: the same data as their folders, and what is refused."""

import gzip
import os
import tarfile
import threading

import numpy as np
import pytest

from resnext.data import folders, tar_archive
from resnext.data.batches import evaluation_batches
from resnext.data.check import check_images
from resnext.errors import DataError, ImageError
from resnext.images.decode import check_header, read_image
from resnext.images.preprocessing import Preprocessing
from support.archives import FOUR, MODES, SUFFIXES, archive_of, pack, png
from support.photos import load_examples, load_held_out, load_splits, make, write_photos
from support.places import DATA

pytestmark = pytest.mark.once

COLOURS = {"a": (200, 40, 40), "b": (40, 200, 40)}


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("below", ["", "./", "top/", "./deep/er/"])
def test_an_archive_is_the_folder_it_was_made_from(tmp_path, suffix, below):
    folder = tmp_path / "data"
    for part in ("train", "test"):
        write_photos(folder / part, COLOURS, 3)
    make(folder, "train/a/.hidden.png", "train/b/deep/er/x.png", "train/b/1.PNG")
    (folder / "train/a/notes.txt").write_text("x")
    archive = pack(folder, tmp_path / f"data{suffix}", below)
    theirs, ours = load_splits(folder), load_splits(archive)
    assert ours.validation is ours.test
    for part in ("train", "test"):
        of_folder, of_archive = getattr(theirs, part), getattr(ours, part)
        assert of_archive.classes == of_folder.classes
        assert of_archive.labels.tolist() == of_folder.labels.tolist()
        top = f"{archive}/{below.removeprefix('./')}"
        names = [str(image).replace(str(folder) + "/", top) for image in of_folder.images]
        assert [str(image) for image in of_archive.images] == names
        check_images(of_archive)
        for path, member in zip(of_folder.images, of_archive.images, strict=True):
            np.testing.assert_array_equal(read_image(member), read_image(path))


def test_an_archive_of_class_folders_is_split_as_the_folder_is(tmp_path):
    folder = write_photos(tmp_path / "data", COLOURS, 9)
    archive = pack(folder, tmp_path / "data.tgz", "top/")
    splits = load_splits(archive, seed=3)
    assert splits.held_out == load_splits(folder, seed=3).held_out
    assert len(splits.test) == 2
    for data in (archive, folder):
        held_out, missing = load_held_out(data, splits.held_out, ("b", "a"))
        assert missing == []
        assert [str(image).split("/")[-2:] for image in held_out.images] == [p.split("/") for p in splits.held_out]
        assert held_out.labels.tolist() == [1, 0]
    held_out, missing = load_held_out(archive, ["a/000.png", "b/no.png", "a/000.png/x", "a"], ("a", "b"))
    assert len(held_out) == len(held_out.images) == 1
    assert missing == [f"{archive}/top/{path}" for path in ("b/no.png", "a/000.png/x", "a")]
    assert load_held_out("digits", ["a/0.png"], ("a", "b")) is None


def test_a_single_class_or_part_is_not_looked_through(tmp_path):
    archive = archive_of(tmp_path / "x.tar", *FOUR[:2])
    assert load_examples(archive, ("b", "a")).labels.tolist() == [1, 1]
    archive = archive_of(tmp_path / "y.tar", *[(f"train/{name}", content) for name, content in FOUR])
    with pytest.raises(DataError, match=r"y.tar has train but neither test nor val; to evaluate on it pass .*/train"):
        load_examples(archive, ("a", "b"))


def test_threads_read_an_archive_at_once(tmp_path):
    members = [(f"{'ab'[i % 2]}/{i:03}.png", png(i)) for i in range(120)]
    examples = load_examples(archive_of(tmp_path / "x.tar", *members), ("a", "b"))
    expected = [int(str(image).split("/")[-1][:3]) for image in examples.images]
    results = {}

    def read(thread):
        results[thread] = [int(read_image(image)[0, 0, 0]) for image in examples.images]

    threads = [threading.Thread(target=read, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [results[i] for i in range(4)] == [expected] * 4
    batches = evaluation_batches(examples, Preprocessing(4, 4), 32)
    batched = np.concatenate([images[:valid] for images, valid in batches])
    assert batched[:, 0, 0, 0].tolist() == expected


def test_of_two_members_with_one_name_the_later_counts(tmp_path):
    splits = load_splits(archive_of(tmp_path / "x.tar", *FOUR, ("a/1.png", png(99))))
    (image,) = (image for image in [*splits.train.images, *splits.test.images] if str(image).endswith("a/1.png"))
    assert read_image(image)[0, 0, 0] == 99


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz"])
def test_bad_images_in_an_archive_are_named(tmp_path, suffix):
    archive = archive_of(tmp_path / f"x{suffix}", *FOUR, ("a/2.png", b""), ("b/2.png", b"text"), mode=MODES[suffix])
    examples = load_examples(archive, ("a", "b"))
    match = r"^2 of 6 images can't be read: \S+x\S+/a/2.png: empty file; \S+/b/2.png: not a JPEG"
    with pytest.raises(DataError, match=match):
        check_images(examples)


def test_an_archive_that_became_shorter_and_a_huge_member_are_named(tmp_path, monkeypatch):
    archive = archive_of(tmp_path / "x.tar", *FOUR)
    last = load_examples(archive, ("a", "b")).images[-1]
    monkeypatch.setattr(folders, "MAX_MEMBER", 10)
    with pytest.raises(ImageError, match=r"b/1.png: more than 0 MB$"):
        check_header(last)
    monkeypatch.undo()
    os.truncate(archive, last.offset + 5)
    with pytest.raises(ImageError, match=r"b/1.png: the archive ends in the middle of it$"):
        read_image(last)


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz"])
@pytest.mark.parametrize(
    ("member", "pattern"),
    [
        (("/etc/x.png", b""), r"has '/etc/x.png', a path that leads out of it; pack it again with relative paths$"),
        (("a/../../x.png", b""), r"has 'a/../../x.png', a path that leads out of it"),
        (special("a/l.png", tarfile.SYMTYPE, "/etc/passwd"), r"has 'a/l.png', which is a link or otherwise not a pl"),
        (special("a/l.png", tarfile.LNKTYPE, "a/0.png"), r"link or .* plain file; unpack it and pass the folder$"),
        (special("a/l.png", tarfile.CHRTYPE), r"has 'a/l.png', which is a link or otherwise not a plain file"),
        (special("a/l.png", tarfile.FIFOTYPE), r"has 'a/l.png', which is a link or otherwise not a plain file"),
        (("a/" * 70 + "x.png", b""), r"folders nested more than 64 deep; pack it again with fewer$"),
        (("a/0.png/x.png", b"x"), r"cut short \('0.png' is both a file and a folder\); download or pack it again$"),
        (special("a/0.png", tarfile.DIRTYPE), r"'0.png' is both a file and a folder"),
        (("n" * 2_000_000 + "/x.png", b"x"), r"damaged or cut short \(a header of 2,\d+,\d+ bytes\)"),
    ],
)
def test_hostile_members_are_refused(tmp_path, suffix, member, pattern):
    archive = archive_of(tmp_path / f"x{suffix}", *FOUR, member, mode=MODES[suffix])
    with pytest.raises(DataError, match=r"x\.tar\S* (has|is|damaged).*") as caught:
        load_splits(archive)
    assert caught.match(pattern)
    assert "\n" not in str(caught.value)


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path):
    archive = archive_of(tmp_path / "x.tar", ("a/x.png/1.png", b"x"), ("a/x.png", b"x"))
    with pytest.raises(DataError, match=r"damaged or cut short \('x.png' is both a file and a folder\)"):
        load_splits(archive)


def test_a_sparse_member_is_refused(tmp_path):
    info = special("a/l.png", tarfile.GNUTYPE_SPARSE)
    with pytest.raises(DataError, match=r"'a/l.png', which is a link or otherwise not a plain file"):
        load_splits(archive_of(tmp_path / "x.tar", *FOUR, info))


def test_a_negative_size_ends_the_reading(tmp_path):
    archive = archive_of(tmp_path / "x.tar", *FOUR)
    content = bytearray(archive.read_bytes())
    header = content[1024:1536]
    header[124:136] = b"\xff" * 10 + (-512 & 0xFFFF).to_bytes(2, "big")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    content[1024:1536] = header
    archive.write_bytes(content)
    with pytest.raises(DataError, match=r"damaged or cut short \(a member of -512 bytes\)"):
        load_splits(archive)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_archives_cut_short_or_damaged_anywhere_are_refused(tmp_path, suffix):
    archive = archive_of(tmp_path / f"x{suffix}", *FOUR, mode=MODES[suffix])
    whole = archive.read_bytes()
    end = len(FOUR) * 1024 if suffix == ".tar" else len(whole)  # what follows is padding
    for length in {0, 1, end // 3, end // 2, end - 1, 2048 if suffix == ".tar" else end - 6}:
        archive.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"is damaged or cut short \(.+\); download or pack it again$"):
            load_splits(archive)
    damaged = bytearray(whole)
    damaged[1030 if suffix == ".tar" else end // 2] ^= 255
    archive.write_bytes(damaged)
    with pytest.raises(DataError, match="is damaged or cut short"):
        load_splits(archive)


def test_another_file_called_an_archive_is_refused(tmp_path):
    for name in ("x.tar", "x.tar.gz", "x.tar.xz", "x.tar.bz2"):
        (tmp_path / name).write_bytes(b"PK\3\4 is how a zip begins" * 100)
        with pytest.raises(DataError, match="is damaged or cut short"):
            load_splits(tmp_path / name)
    (tmp_path / "x.rar").touch()
    with pytest.raises(DataError, match=r"x.rar is neither a folder nor an archive. Pass a folder of images, an arch"):
        load_splits(tmp_path / "x.rar")
    with pytest.raises(DataError, match=r"\S+x.tar has no images in class folders; allowed layouts: DATA"):
        load_splits(archive_of(tmp_path / "x.tar"))


@pytest.mark.timeout(60)
def test_a_compressed_archive_that_is_too_large_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(tar_archive, "MAX_UNPACKED", 10_000_000)
    info = tarfile.TarInfo("a/9.png")
    info.size = 10**12
    archive = tmp_path / "x.tar.gz"
    with gzip.open(archive, "wb") as stream:
        stream.write(info.tobuf())
    with pytest.raises(
        DataError, match=r"holds more than 0 GB, too much to keep in memory; unpack it and pass the fol"
    ):
        load_splits(archive)
    archive_of(archive, *FOUR, mode="w:gz")
    with gzip.open(archive, "ab") as stream:
        stream.write(bytes(20_000_000))
    with pytest.raises(DataError, match="it continues after its end mark"):
        load_splits(archive)


@pytest.mark.skipif(not (DATA / "sign-digits.tar.gz").exists(), reason="sign-digits.tar.gz is not there")
def test_an_archive_of_photos_is_read():
    splits = load_splits(DATA / "sign-digits.tar.gz")
    assert (len(splits.train), len(splits.test)) == (1722, 340)
    assert splits.train.classes == tuple("0123456789")
    check_images(splits.train)
