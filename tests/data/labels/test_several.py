"""Several labels of an image, shares of classes, and weights of images, from tables."""

import logging

import pytest

from resnext.data.check import check_data
from resnext.data.labels.several import separator_of
from resnext.data.source import open_data
from resnext.errors import DataError
from support.photos import load_splits, make


def table(tmp_path, *lines, name="labels.csv"):
    """A table, and its images."""
    rows = [line.split(",")[0] for line in lines[1:]]
    make(tmp_path, *{name for name in rows if name.endswith(".png")})
    (tmp_path / name).write_text("\n".join(lines) + "\n")
    return tmp_path


def train_part(folder):
    """The training images of a table with a column of parts, by name: their targets."""
    splits = load_splits(folder)
    examples = splits.train
    return {image.stem: row for image, row in zip(examples.images, examples.targets().tolist(), strict=True)}, splits


ROWS = ("a.png,cat;dog,train", "b.png,cat,train", "c.png,,train", "d.png,owl; cat ;owl,train", "e.png,dog,test")


@pytest.mark.parametrize("mark", [";", "|"])
def test_a_separator_makes_several_labels(tmp_path, mark):
    folder = table(tmp_path, "file,label,split", *(row.replace(";", mark) for row in ROWS))
    targets, splits = train_part(folder)
    assert splits.train.classes == ("cat", "dog", "owl")
    assert targets == {"a": [1, 1, 0], "b": [1, 0, 0], "c": [0, 0, 0], "d": [1, 0, 1]}
    assert splits.train.several
    assert splits.test.targets().tolist() == [[0, 1, 0]]
    assert splits.train.counts().tolist() == [3, 1, 1]
    assert [splits.train.name_of_labels(i) for i in range(4)] == ["cat; dog", "cat", "none", "cat; owl"]
    assert open_data(folder).about_labels == [
        f"labels: several for an image, separated by {mark!r} in the column label",
    ]


def test_columns_of_0_and_1_are_classes(tmp_path):
    rows = ("a.png,1,0,1,7,train", "b.png,0,0,0,8,train", "c.png,0,1,0,9,train", "d.png,1,1,1,9,val")
    folder = table(tmp_path, "file,owl,cat,dog,age,split", *rows)
    targets, splits = train_part(folder)
    assert splits.train.classes == ("cat", "dog", "owl")
    assert targets == {"a": [0, 1, 1], "b": [0, 0, 0], "c": [1, 0, 0]}
    source = open_data(folder)
    assert source.labels_from == "labels.csv, columns file and owl, cat, dog (0 or 1); parts: column split"
    assert "not used: the column age of " + str(folder / "labels.csv") in source.left_out()


def test_minus_one_means_no_where_there_is_no_0(tmp_path):
    rows = ("a.png,-1,1,-1,train", "b.png,1,1,-1,train", "c.png,1,-1,-1,test")
    folder = table(tmp_path, "image_id,Smiling,Young,Hat,split", *rows)
    targets, splits = train_part(folder)
    assert splits.train.classes == ("Hat", "Smiling", "Young")
    assert targets == {"a": [0, 0, 1], "b": [0, 1, 1]}


@pytest.mark.parametrize("words", [("True", "False"), ("yes", "no")])
def test_yes_and_no_are_1_and_0(tmp_path, words):
    yes, no = words
    folder = table(
        tmp_path, "file,cat,dog,split", f"a.png,{yes},{yes},train", f"b.png,{no},{yes},train", f"c.png,{no},{no},test"
    )
    assert train_part(folder)[0] == {"a": [1, 1], "b": [0, 1]}


def test_a_comma_leaves_room_for_images_without_a_label(tmp_path):
    rows = ('a.png,"cat,dog",train', "b.png,cat,train", "c.png,,train", "d.png,dog,test")
    targets, splits = train_part(table(tmp_path, "file,tags,split", *rows))
    assert targets == {"a": [1, 1], "b": [1, 0], "c": [0, 0]}
    assert splits.train.several


def test_a_network_of_several_labels_reads_a_table_in_which_no_image_has_two(tmp_path):
    source = open_data(table(tmp_path, "file,label,split", "a.png,cat,train", "b.png,dog,test", "c.png,,test"))
    assert source.examples(("cat", "dog")).targets().tolist() == [[0, 1], [0, 0]]
    with pytest.raises(DataError, match="row 4 has no label; complete it, or separate labels by ; if images may have"):
        source.splits()


def test_exactly_one_1_in_each_row_is_one_label(tmp_path):
    folder = table(tmp_path, "file,cat,dog,split", "a.png,1,0,train", "b.png,0,1,train", "c.png,1,0,test")
    _, splits = train_part(folder)
    assert splits.train.shares is None
    assert [splits.train.classes[label] for label in splits.train.labels] == ["cat", "dog"]
    assert open_data(folder).about_labels == []


def test_shares_that_sum_to_1_are_soft_labels_of_one_class(tmp_path):
    folder = table(tmp_path, "file,cat,dog,split", "a.png,0.75,0.25,train", "b.png,0,1,train", "c.png,0.5,0.5,test")
    targets, splits = train_part(folder)
    assert targets == {"a": [0.75, 0.25], "b": [0, 1]}
    assert not splits.train.several
    assert splits.train.labels.tolist() == [0, 1]
    assert open_data(folder).about_labels == ["labels: shares of the classes, which sum to 1 for each image"]
    thirds = table(
        tmp_path / "thirds", "file,a,b,c,split", "a.png,0.33,0.33,0.33,train", "b.png,0,1,0,train", "c.png,0,1,0,test"
    )
    assert load_splits(thirds).train.targets()[0].tolist() == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize(
    ("values", "column", "known", "separator"),
    [
        ({"cat", "dog"}, "labels", (), None),
        ({"cat, dog", "cat", "dog", "owl, dog, cat"}, "label", (), ","),
        ({"scab rust", "scab", "rust", "healthy"}, "labels", (), " "),
        ({"scab rust", "scab", "rust", "healthy"}, "label", (), None),
        ({"1 2", "0", "2", "1", "0 1 2", "0 1"}, "target", (), " "),
        ({"tench, Tinca tinca", "goldfish, Carassius auratus"}, "label", (), None),
        ({"rust scab", "scab"}, "label", ("rust", "scab"), " "),
        ({"cat;dog"}, "label", ("cat;dog", "owl"), None),
        ({"cat;wolf"}, "label", ("cat", "dog"), ";"),
    ],
)
def test_a_comma_and_a_blank_separate_labels_only_where_that_is_clear(values, column, known, separator):
    assert separator_of(values, column, known) == separator


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ("file,cat,dog", "a.png,1,0", "b.png,1,1", "c.png,0,1", "d.png,,1"),
            "column cat has values other than 0 and 1",
        ),
        (
            ("file,cat,dog,owl", "a.png,1,0,-1", "b.png,1,1,0", "c.png,0,1,1"),
            "column owl has .* such as '-1'; write 0 or",
        ),
        (("file,cat", "a.png,1", "b.png,0"), "none for label; call .*, or write a column of 0 and 1 for each class"),
        (("file,label", "a.png,cat;dog", "a.png,dog"), "two different rows for a.png; keep one, and write several"),
        (
            ("file,label,sample_weight", "a.png,cat,1", "b.png,dog,-1"),
            "row 3 has the weight '-1'; write a number from 0",
        ),
        (("file,label,sample_weight", "a.png,cat,x", "b.png,dog,1"), "row 2 has the weight 'x'; write a number from 0"),
        (("file,label,sample_weight", "a.png,cat,0", "b.png,dog,0"), "all weights are 0; write a number above 0"),
        (("file,label", "a.png,cat", "b.png,"), "row 3 has no label; complete it"),
        (("file,label", "a.png,['cat']", "b.png,[]"), r"its labels look like lists, such as \['cat'\]; write several"),
    ],
)
def test_what_is_not_clear_is_refused(tmp_path, lines, message):
    folder = table(tmp_path, *lines)
    with pytest.raises(DataError, match=message):
        load_splits(folder / "labels.csv")


def test_weights_of_images_are_read_and_a_weight_is_not_theirs(tmp_path):
    rows = ("a.png,cat,2,70,train", "b.png,dog,1,80,train", "c.png,cat,9,75,test")
    folder = table(tmp_path, "file,label,Sample Weight,weight,split", *rows)
    assert load_splits(folder).train.weights.tolist() == [2, 1]
    source = open_data(folder)
    assert source.about_labels == ["weights: those of the images in training are in the column Sample Weight"]
    assert any("column weight of" in line for line in source.left_out())


def test_images_are_held_out_of_each_label(tmp_path):
    rows = [f"{i:03}.png,{'cat;dog' if i % 3 else 'owl'}{';rare' if i % 20 == 0 else ''}" for i in range(120)]
    splits = load_splits(table(tmp_path, "file,labels", *rows))
    assert splits.test.counts().tolist() == [
        12,
        12,
        7,
        1,
    ]  # cat, dog, owl, rare: a sixth of the images of each rarest label
    assert splits.train.several
    assert splits.test.several


def test_chosen_classes_are_columns(tmp_path):
    from resnext.data.chosen_classes import of_classes

    folder = table(tmp_path, "file,label,split", *ROWS)
    train = load_splits(folder).train
    some, kept = of_classes(train, ["owl", "cat"], folder)
    assert (some.classes, kept) == (("owl", "cat"), [0, 1, 2, 3])
    assert some.targets().tolist() == [[0, 1], [0, 1], [0, 0], [1, 1]]
    rows = ("a.png,0.2,0.6,0.2,train", "b.png,0,0,1,train", "c.png,0.5,0.5,0,test")
    soft = load_splits(table(tmp_path / "soft", "file,cat,dog,owl,split", *rows)).train
    some, kept = of_classes(soft, ["dog", "cat"], folder)
    assert kept == [0]
    assert some.targets().tolist() == [[0.75, 0.25]]


def test_a_part_with_labels_of_its_own_is_refused_beside_several(tmp_path):
    folder = table(tmp_path, "file,label", "a.png,cat;dog", "b.png,cat")
    make(folder / "test", "cat/1.png", "dog/2.png")
    (folder / "train").mkdir()
    for name in "ab":
        (folder / f"{name}.png").rename(folder / "train" / f"{name}.png")
    with pytest.raises(DataError, match=r"several labels, or shares, for an image, and .*test has others. Name its"):
        load_splits(folder)


def test_a_network_of_one_label_does_not_read_several(tmp_path):
    from resnext.data.labels.labelled_rows import as_several

    folder = table(tmp_path, "file,label,split", *ROWS)
    examples = open_data(folder).examples(("cat", "dog", "owl"))
    assert as_several(examples, True, "runs/a", folder) is examples
    with pytest.raises(
        DataError, match="has images with several labels, or without one, and runs/a predicts one class"
    ):
        as_several(examples, False, "runs/a", folder)
    one = open_data(table(tmp_path / "one", "file,label,split", "a.png,cat,train", "b.png,dog,test"))
    assert as_several(one.examples(("cat", "dog")), True, "runs/a", one).targets().tolist() == [[0, 1]]


def test_check_data_counts_an_image_for_each_of_its_labels(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    report = check_data(table(tmp_path, "file,label,split", *ROWS))
    assert report.parts[0].counts == {"cat": 3, "dog": 1, "owl": 1}
    assert len(report.contradictions) == 3  # the pixels of all four in train are equal, and their labels differ
