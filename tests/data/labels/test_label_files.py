"""Label files: ImageNet's and others, for images that are not in class folders."""

import numpy as np
import pytest

from resnext.data import archives
from resnext.data.source import open_data
from resnext.errors import DataError
from support.archives import pack
from support.photos import load_examples, load_splits, make

pytestmark = pytest.mark.once

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
    ("val.txt", "val/v1.JPEG\tn02\nval/v2.JPEG\tn03\n"),
    ("val.csv", "file,label\nval/v2.JPEG,n03\nv1.JPEG,n02\n"),
    ("val/labels.csv", "id,width,Class\nv2,640,n03\nv1,480,n02\n"),
    ("val/labels.csv", "v1.JPEG,n02\nv2.JPEG,n03\n"),
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


@pytest.mark.parametrize(
    ("label_file", "text", "words"),
    [
        ("val.txt", "v1.JPEG n02\nv2.JPEG n03\n", "val.txt"),
        ("val.csv", "v1.JPEG,n02\nv2.JPEG,n03\n", "val.csv"),
        ("val.csv", "id,width,Class\nv2,640,n03\nv1,480,n02\n", "val.csv, columns id and Class"),
        ("LOC_val_solution.csv", KAGGLE, "LOC_val_solution.csv, columns ImageId and PredictionString"),
    ],
)
def test_the_columns_of_a_label_file_are_named(tmp_path, label_file, text, words):
    source = open_data(imagenet(tmp_path, label_file, text))
    assert source.labels_from == f"the folders in {tmp_path / 'train'}; validation: {words}"


@pytest.mark.parametrize("text", ["v1.JPEG 0\nv2.JPEG 2\n", "v2 2\nv1 0", "id,width,Class\nv2,640,2\nv1,480,0\n"])
def test_labels_may_be_indices(tmp_path, text):
    data = imagenet(tmp_path, "val.csv" if "," in text else "val.txt", text)
    assert load_splits(data).test.labels.tolist() == [0, 2]


def test_indices_in_another_order_are_refused(tmp_path):
    data = imagenet(tmp_path, "val.txt", "v1.JPEG 0\nv2.JPEG 2\n")
    (data / "classes.txt").write_text("n01\nn02\nn03\n")
    assert load_splits(data).test.labels.tolist() == [0, 2]
    (data / "classes.txt").write_text("n03\nn02\nn01\n")
    with pytest.raises(
        DataError, match="a list of the classes that lies there is not sorted by name, so that they may"
    ):
        load_splits(data)


def test_two_label_files_of_a_part_must_agree(tmp_path):
    data = imagenet(tmp_path, "val.txt", "v1.JPEG n01\nv2.JPEG n03\n")
    (data / "val_labels.csv").write_text("file,label\nv1.JPEG,n03\nv2.JPEG,n01\n")
    with pytest.raises(DataError, match=r"two ways: val/v1.JPEG is 'n01' by val.txt, but 'n03' in "):
        load_splits(data)


def test_indices_that_may_count_from_one_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"none of them is 0, so that they may count from 0 or from 1. Write names"):
        load_splits(imagenet(tmp_path, "val.txt", "v1.JPEG 1\nv2.JPEG 2\n"))


def test_the_file_of_a_part_may_have_another_name_of_the_part(tmp_path):
    data = imagenet(tmp_path, "val.txt", "v1 n01\nv2 n03\n", val="valid")
    assert load_splits(data).test.labels.tolist() == [0, 2]


def test_an_order_that_can_be_read_in_two_ways_is_refused(tmp_path):
    make(tmp_path, *(f"train/{name}/0.png" for name in CLASSES), *(f"val/{i}.png" for i in range(1, 13)))
    (tmp_path / "val.txt").write_text("n01\n" * 12)  # both readings are the same
    assert load_splits(tmp_path).test.labels.tolist() == [0] * 12
    (tmp_path / "val.txt").write_text("n01\n" * 6 + "n02\n" * 6)
    with pytest.raises(
        DataError, match=r"order can be read in two ways: .* differ for 10.png. Write a line `file label`"
    ):
        load_splits(tmp_path)


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
            r"val.txt names images that do not exist: v3.JPEG. Add the im",
        ),
        ("val.txt", "v1 1\nv2 1\nv3 1\nv4 1\n", r"val.txt names images that do not exist: v3 and 1 more"),
        ("val.txt", "v1.JPEG 1\nv2.JPEG\n", r"val.txt has 'v2.JPEG' without a label; write each line as `file label`$"),
        ("val.txt", "v1.JPEG 1\nv1.JPEG 2\n", r"val.txt has two labels for v1.JPEG; keep one$"),
        ("val.txt", "v1.JPEG 1\nv2.JPEG 3\n", r"has the label 3, but its 3 classes have the indices 0 to 2$"),
        (
            "val.txt",
            f"v1.JPEG 1\nv2.JPEG {'9' * 5000}\n",
            r"has the label 9{20}\.\.\., but its 3 classes",
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
        ("LOC_val_solution.csv", KAGGLE + "v3,n01 1 2 3 4\n", r"names images that do not exist: v3"),
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
        DataError, match=r"its labels can be read as names of classes and as indices of other classes. Write names that"
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
