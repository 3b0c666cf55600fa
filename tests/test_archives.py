"""Data sets in tar archives, ImageNet's label files, and data sets by name."""

import gzip
import io
import os
import sys
import tarfile
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import DATA, load_examples, load_held_out, load_splits, write_photos
from PIL import Image
from test_images import make

from resnext.data import archives, folders, tar_archive
from resnext.data.batches import evaluation_batches
from resnext.data.builtin import BUILTIN, CIFAR
from resnext.data.check import check_images, drop_unreadable
from resnext.data.examples import Examples
from resnext.data.source import open_data
from resnext.errors import DataError, ImageError
from resnext.images.decode import check_header, read_image
from resnext.images.preprocessing import Preprocessing

pytestmark = pytest.mark.once

SUFFIXES = [".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2"]
MODES = {".tar": "w", ".tar.gz": "w:gz", ".tgz": "w:gz", ".tar.xz": "w:xz", ".tar.bz2": "w:bz2"}
COLOURS = {"a": (200, 40, 40), "b": (40, 200, 40)}


def pack(folder, archive, below=""):
    """The folder's content as an archive, below a folder of its own if asked."""
    suffix = next(suffix for suffix in SUFFIXES if archive.name.endswith(suffix))
    with tarfile.open(archive, MODES[suffix]) as tar:
        for path in sorted(folder.iterdir(), reverse=True):
            tar.add(path, f"{below}{path.name}")
    return archive


def png(colour=0):
    content = io.BytesIO()
    Image.new("RGB", (4, 4), (colour, 0, 0)).save(content, "PNG")
    return content.getvalue()


def archive_of(path, *members, mode="w"):
    """An archive with files by (name, content), or with ready-made headers."""
    with tarfile.open(path, mode) as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
                continue
            name, content = member
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


FOUR = [(f"{name}/{i}.png", png(i)) for name in "ab" for i in range(2)]


# Archives


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


# Hostile and damaged archives


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
    with pytest.raises(DataError, match=r"x.rar is neither a folder nor an archive; pass a folder of images, an arch"):
        load_splits(tmp_path / "x.rar")
    with pytest.raises(DataError, match=r"no images in class folders in \S+x.tar; allowed layouts: DATA"):
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


# ImageNet

CLASSES = ("n01", "n02", "n03")
KAGGLE = "ImageId,PredictionString\nv2,n03 1 2 3 4 n03 5 6 7 8 \nv1,n02 1 2 3 4\n"


def imagenet(root, label_file="", text="", train="train", val="val"):
    make(root, *(f"{train}/{name}/{i}.JPEG" for name in CLASSES for i in range(2)), f"{val}/v1.JPEG", f"{val}/v2.JPEG")
    if label_file:
        (root / label_file).write_text(text)
    return root


LABEL_FILES = [
    ("LOC_val_solution.csv", KAGGLE),
    ("LOC_val_solution.csv", "\ufeff" + KAGGLE.replace("\n", "\r\n")),
    ("val/LOC_val_solution.csv", KAGGLE),
    ("imagenet_2012_validation_synset_labels.txt", "n02\nn03\n"),
    ("val/imagenet_2012_validation_synset_labels.txt", "n02\nn03"),
    ("val/anything.txt", "n02\nn03\n\n"),
    ("val.txt", "v2.JPEG n03\nv1.JPEG n02\n"),
    ("val.txt", "v1.JPEG 1\nv2.JPEG 2\n"),
    ("val.txt", "val/v1.JPEG\tn02\nval/v2.JPEG\tn03\n"),
    ("val.csv", "file,label\nval/v2.JPEG,n03\nv1.JPEG,n02\n"),
    ("val/labels.csv", "id,width,Class\nv2,640,2\nv1,480,1\n"),
    ("val/labels.csv", "v1.JPEG,n02\nv2.JPEG,n03\n"),
    ("val/val.txt", "v1 1\nv2 2\n"),
    ("val_labels.txt", "n02\nn03\n"),
]


@pytest.mark.parametrize(("label_file", "text"), LABEL_FILES)
@pytest.mark.parametrize("form", ["folder", "archive"])
def test_a_flat_validation_folder_is_labelled_by_a_file(tmp_path, label_file, text, form):
    data = imagenet(tmp_path / "data", label_file, text)
    data = pack(data, tmp_path / "data.tar") if form == "archive" else data
    splits = load_splits(data)
    assert splits.train.classes == splits.test.classes == CLASSES
    assert [str(image) for image in splits.test.images] == [f"{data}/val/v1.JPEG", f"{data}/val/v2.JPEG"]
    assert splits.test.labels.tolist() == [1, 2]
    assert splits.test.labels.dtype == np.int32
    backwards = load_examples(data, CLASSES[::-1])
    assert backwards.labels.tolist() == [1, 0]


def test_a_flat_folder_can_be_judged_by_itself(tmp_path):
    root = imagenet(tmp_path, "val/val.txt", "v1.JPEG n02\nv2.JPEG n03\n")
    assert load_examples(root / "val", CLASSES).labels.tolist() == [1, 2]


@pytest.mark.parametrize("top", ["ILSVRC/", ""])
@pytest.mark.parametrize("form", ["folder", "archive"])
def test_kaggles_copy_of_imagenet_is_taken_as_it_is(tmp_path, top, form):
    base = f"{top}Data/CLS-LOC"
    data = imagenet(tmp_path / "data", "LOC_val_solution.csv", KAGGLE, f"{base}/train", f"{base}/val")
    make(data, f"{base}/test/t1.JPEG", f"{top}Annotations/n01/x.png")
    data = pack(data, tmp_path / "data.tar.gz") if form == "archive" else data
    splits = load_splits(data)
    assert splits.train.classes == CLASSES
    assert splits.test is splits.validation
    assert splits.test.labels.tolist() == load_examples(data, CLASSES).labels.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("label_file", "text", "pattern"),
    [
        (
            "",
            "",
            r"val has images but no class folders; sort them into folders or add a label file: LOC_val_solution.c",
        ),
        (
            "ILSVRC2012_validation_ground_truth.txt",
            "490\n361\n",
            r"has bare numbers, and ILSVRC's do not follow the ord",
        ),
        ("val/x.txt", "0\n1\n", r"x.txt has bare numbers, .* the order of the folders; use a label file: LOC_val"),
        (
            "val.txt",
            "n02\n",
            r"val.txt has 1 lines for 2 images; provide one class name per image, in the sorted order",
        ),
        ("val.txt", "", r"val.txt has 0 lines for 2 images"),
        ("val.txt", "v1.JPEG 1\n", r"val.txt has no label for v2.JPEG; add it or remove the image"),
        (
            "val.txt",
            "v1.JPEG 1\nv2.JPEG 1\nv3.JPEG 1\n",
            r"val.txt names v3.JPEG, which does not exist; add the im",
        ),
        ("val.txt", "v1 1\nv2 1\nv3 1\nv4 1\n", r"val.txt names v3 and 1 more, which does not exist"),
        ("val.txt", "v1.JPEG 1\nv2.JPEG\n", r"val.txt has 'v2.JPEG' without a label; write each line as `file label`$"),
        ("val.txt", "v1.JPEG 1\nv1.JPEG 2\n", r"val.txt has two labels for v1.JPEG; keep one$"),
        ("val.txt", "v1.JPEG 1\nv2.JPEG 3\n", r"has the label 3, and the indices of its 3 classes are 0 to 2$"),
        (
            "val.txt",
            f"v1.JPEG 1\nv2.JPEG {'9' * 5000}\n",
            r"has the label 9{20}\.\.\., and the indices of its 3 classes",
        ),
        (
            "val.txt",
            "v1.JPEG 1\nv2.JPEG n03\n",
            r"mixes names of classes and other labels \(1\); use class names only$",
        ),
        (
            "val.csv",
            "file,size\nv1.JPEG,3\n",
            "the columns file, size in its first line, and none for label; call one ",
        ),
        ("val.txt", "v1.JPEG n02\nv2.JPEG n002\n", r"training has not seen: 'n002' \(did you mean 'n02'\?\)$"),
        ("val.txt", "n02\nn04\n", r"val.txt has classes that training has not seen: 'n04'"),
        ("LOC_val_solution.csv", KAGGLE + "v3,n01 1 2 3 4\n", r"names v3, which does not exist"),
        ("LOC_val_solution.csv", KAGGLE.replace("v2,n03 1 2 3 4 n03 5 6 7 8 \n", "v2,\n"), r"has 'v2' without a label"),
    ],
)
def test_label_files_that_do_not_fit_are_refused(tmp_path, label_file, text, pattern):
    root = imagenet(tmp_path, label_file, text)
    for load in (load_splits, lambda data: load_examples(data, CLASSES)):
        with pytest.raises(DataError, match=pattern) as caught:
            load(root)
        assert "\n" not in str(caught.value)


def test_numbers_are_names_or_indices_and_never_both(tmp_path):
    """Flowers-102 has folders 1 to 102, and labels from 0 or from 1."""
    names = [str(i) for i in range(1, 13)]
    make(tmp_path, *(f"train/{name}/0.png" for name in names), *(f"val/img{i}.png" for i in range(12)))
    (tmp_path / "val.txt").write_text("".join(f"img{i}.png {i}\n" for i in range(12)))
    assert load_splits(tmp_path).test.labels.tolist() == [
        0,
        1,
        10,
        11,
        *range(2, 10),
    ]  # the images are sorted: 0, 1, 10
    (tmp_path / "val.txt").write_text("".join(f"img{i}.png {i + 1}\n" for i in range(12)))
    test = load_splits(tmp_path).test
    assert [test.classes[label] for label in test.labels] == ["1", "2", "11", "12", *"3456789", "10"]
    (tmp_path / "val.txt").write_text("".join(f"img{i}.png {1 + i % 11}\n" for i in range(12)))
    with pytest.raises(
        DataError, match=r"its labels are names of classes and indices of other classes. Write names that"
    ):
        load_splits(tmp_path)


def test_names_with_blanks_are_read_from_a_label_file(tmp_path):
    make(tmp_path, "train/golden retriever/0.png", "train/cat/0.png", "val/my photo.png", "val/my.png")
    (tmp_path / "val.txt").write_text("my photo.png golden retriever\nmy.png cat\n")
    test = load_splits(tmp_path).test
    assert [test.classes[label] for label in test.labels] == ["golden retriever", "cat"]


def test_digits_may_be_the_names_of_classes(tmp_path):
    make(tmp_path, "train/7/1.png", "train/8/1.png", "val/v1.png", "val/v2.png")
    (tmp_path / "val.txt").write_text("8\n7\n")
    assert load_splits(tmp_path).test.labels.tolist() == [1, 0]


def test_label_files_that_are_no_text_are_refused(tmp_path, monkeypatch):
    root = imagenet(tmp_path, "val.txt", "n02\nn03\n")
    (root / "val.txt").write_bytes(b"\xff\xfe\0")
    with pytest.raises(DataError, match=r"val.txt can't be read as text: 'utf-8' codec"):
        load_splits(root)
    monkeypatch.setattr(archives, "MAX_TEXT", 2)
    with pytest.raises(DataError, match=r"val.txt can't be read as text: more than 2 bytes\. Save it in UTF-8$"):
        load_splits(root)


# Words


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


def test_a_data_argument_has_one_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert [open_data(word).name for word in BUILTIN] == ["digits", "cifar10", "cifar100"]
    (tmp_path / "digits").mkdir()
    assert open_data("./digits").name == str(tmp_path / "digits")
    archive_of(tmp_path / "x.tar", *FOUR)
    assert open_data("x.tar").name == open_data(tmp_path / "x.tar").name == str(tmp_path / "x.tar")


@pytest.mark.skipif(not (DATA / "sign-digits.tar.gz").exists(), reason="sign-digits.tar.gz is not there")
def test_an_archive_of_photos_is_read():
    splits = load_splits(DATA / "sign-digits.tar.gz")
    assert (len(splits.train), len(splits.test)) == (1722, 340)
    assert splits.train.classes == tuple("0123456789")
    check_images(splits.train)


# Bad images


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
