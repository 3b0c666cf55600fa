"""Images that are passed from Python: arrays, data sets of other libraries, and one's own source."""

import json
import logging

import keras
import numpy as np
import pytest
from PIL import Image

from resnext import Model, Run, cross_validate, evaluate, explain, predict, resume, train
from resnext.data.memory import open_source
from resnext.errors import ArgumentError, DataError
from resnext.images.bands import with_channels
from resnext.images.pixels import as_pixels
from support.photos import COLOURS, write_photos

SMALL = {"variant": "resnext11_4x4d", "image_size": 24, "epochs": 2, "batch_size": 8, "crop": "centre"}
NAMES = tuple(sorted(COLOURS))


def arrays(images=8, seed=0):
    """Noisy images of three colours, uint8 (images, 24, 24, 3), and their labels as numbers."""
    rng = np.random.default_rng(seed)
    labels = np.arange(3 * images) % 3
    colours = np.array([COLOURS[name] for name in NAMES])[labels][:, None, None]
    return np.clip(rng.normal(colours, 40, (len(labels), 24, 24, 3)), 0, 255).astype(np.uint8), labels


class Own:
    """A source as users write one."""

    classes = NAMES

    def __init__(self, images, labels):
        self.images, self.labels = images, labels

    def __len__(self):
        return len(self.labels)

    def image(self, index):
        return Image.fromarray(self.images[index])

    def label(self, index):
        return int(self.labels[index])


class Batches(keras.utils.PyDataset):
    """Batches as Keras has them, of different lengths."""

    def __init__(self, images, labels):
        super().__init__()
        self.images, self.labels = images, labels

    def __len__(self):
        return -(-len(self.labels) // 5)

    def __getitem__(self, index):
        part = slice(5 * index, 5 * index + 5)
        return self.images[part].astype("float32") / 255, keras.utils.to_categorical(self.labels[part], 3)


def train_examples(data):
    return open_source(data).splits().train


@pytest.mark.once
def test_what_is_passed_is_the_same_training(tmp_path):
    """As an array, as batches and by an own source: the same weights to the bit; and again after `resume`."""
    parts = {"train": arrays(8), "test": arrays(3, 1)}
    kinds = {
        "array": parts,
        "lists": {name: ([*images], labels.tolist()) for name, (images, labels) in parts.items()},
        "batches": {name: Batches(*part) for name, part in parts.items()},
        "own": {name: Own(*part) for name, part in parts.items()},
    }
    weights = {}
    for name, data in kinds.items():
        result = train(data, out=tmp_path / name, **SMALL)
        weights[name] = (tmp_path / name / "metrics.csv").read_text().rsplit(",", 1)[0]
        assert result.test.top(1) == evaluate(tmp_path / name, data, weights="last").top(1)
        assert Model.open(tmp_path / name).classes == (NAMES if name == "own" else ("0", "1", "2"))
    assert weights["array"] == weights["lists"] == weights["batches"]
    with pytest.raises(DataError, match=r"its images were passed from Python; pass them again: resume\("):
        resume(tmp_path / "own")
    with pytest.raises(ArgumentError, match=r"its images were passed from Python. Pass them again, as DATA"):
        evaluate(tmp_path / "own")
    assert resume(tmp_path / "own", data=kinds["own"]).history.epochs == 2
    with pytest.raises(DataError, match="are not the images"):
        resume(tmp_path / "own", data={**kinds["own"], "train": Own(*arrays(7))})


def test_test_images_are_drawn_and_held_out_again(tmp_path):
    images, labels = arrays(12)
    data = (images, [NAMES[label] for label in labels])
    result = train(data, out=tmp_path / "run", **SMALL)
    assert len(result.test) == 6
    again = evaluate(tmp_path / "run", data, weights="last")
    np.testing.assert_array_equal(again.labels, result.test.labels)
    assert again.top(1) == result.test.top(1)
    numbers = (images, labels)  # indices of the network's classes
    assert evaluate(tmp_path / "run", numbers, weights="last").top(1) == result.test.top(1)
    assert len(evaluate(tmp_path / "run", data, all=True)) == 6, "those that it was not trained on"
    turned = images[::-1], [NAMES[label] for label in labels[::-1]]
    np.testing.assert_array_equal(np.sort(evaluate(tmp_path / "run", turned, weights="last").losses),
                                  np.sort(again.losses))  # fmt: skip
    pictures = [Image.fromarray(image) for image in images]
    assert len(evaluate(tmp_path / "run", (pictures, data[1]))) == 6, "the same pixels"
    train(data, out=tmp_path / "longer", weights=str(tmp_path / "run"), seed=7, epochs=1)
    trained = {*json.loads((tmp_path / "run" / "images.json").read_text())["images"]}
    assert len(trained) == 30
    assert not trained & {*json.loads((tmp_path / "longer" / "images.json").read_text())["validation"]}
    files = write_photos(tmp_path / "photos", COLOURS, 4)
    paths = sorted(files.glob("*/*.png"))
    assert len(evaluate(tmp_path / "run", (paths, [path.parent.name for path in paths]))) == 12
    assert len(train((paths, [path.parent.name for path in paths]), out=tmp_path / "files", **SMALL).test) == 3


@pytest.mark.once
def test_an_image_that_cannot_be_read_is_named_by_its_index(tmp_path):
    pictures = [Image.new("RGB", (8, 8), (i, 0, 0)) for i in range(12)]
    pictures[3] = Image.new("F", (8, 8))
    data = pictures, [i % 2 for i in range(12)]
    with pytest.raises(DataError, match=r"1 of \d+ images can't be read: image 3: floating-point pixels, whose range"):
        train(data, out=tmp_path / "run", **SMALL)
    train(data, out=tmp_path / "run", skip_bad=1, **SMALL)

    class Broken:
        classes = ("a", "b")

        def __len__(self):
            return 8

        def image(self, index):
            if index == 5:
                raise KeyError("gone")
            return np.full((8, 8, 3), index, np.uint8)

        def label(self, index):
            return index % 2

    with pytest.raises(DataError, match="image 5: KeyError: 'gone'"):
        train(Broken(), out=tmp_path / "broken", **SMALL)


@pytest.mark.once
@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (np.array([0.0, 2.0, 0.0, 2.0]), ("0", "2")),
        (np.array([True, False, True, False]), ("False", "True")),
        ([np.int64(3), 4, 3, 4], ("3", "4")),
    ],
)
def test_labels_of_other_kinds(labels, classes):
    part = np.zeros((4, 4, 4, 3), np.uint8), labels
    assert train_examples({"train": part, "test": part}).classes == classes


@pytest.mark.once
def test_images_in_memory_are_predicted_and_explained(trained, colours, tmp_path):
    files = sorted((colours / "test").glob("*/*.png"))[:4]
    wanted = [row.classes for row in predict(trained[0], files)]
    pictures = [Image.open(file) for file in files]
    array = np.stack([np.asarray(picture.convert("RGB")) for picture in pictures])
    for given in (pictures, array, [*array], [files[0], pictures[1], array[2], str(files[3])]):
        rows = [*predict(trained[0], given)]
        assert [dict(row.classes) for row in rows] == [pytest.approx(dict(classes), abs=1e-6) for classes in wanted]
    assert [row.image for row in rows] == [str(files[0]), "image 1", "image 2", str(files[3])]
    for image, classes in ((array[0], wanted[0]), (pictures[1], wanted[1])):
        (row,) = predict(trained[0], image)
        assert dict(row.classes) == pytest.approx(dict(classes), abs=1e-6)
    ours, theirs = (next(explain(trained[0], image)) for image in (files[0], pictures[0]))
    np.testing.assert_array_equal(ours.map, theirs.map)
    floats = array.astype("float32")
    for given in (array / 255, floats, [*floats], [floats[0] / 255], array.astype("uint16") * 257, floats[0]):
        rows = [dict(row.classes) for row in predict(trained[0], given)]
        assert rows == [pytest.approx(dict(classes), abs=1e-5) for classes in wanted[: len(rows)]]
    (bad, good) = predict(trained[0], [array[0] - 300.0, array[0]])
    assert bad.error.startswith(
        "images must have values from 0 to 255, or from 0 to 1, or be uint16. Received: float64, v"
    )
    assert good.error is None


@pytest.mark.once
def test_one_or_four_channels_become_three():
    grey = np.arange(24, dtype=np.uint8).reshape(4, 6)
    for image in (as_pixels(grey), as_pixels(grey[..., None])):
        assert np.array_equal(with_channels(image, "rgb"), np.stack([grey] * 3, -1))
    clear = np.dstack([np.full((4, 6, 3), 9, np.uint8), np.zeros((4, 6), np.uint8)])
    assert (with_channels(as_pixels(clear), "rgb") == 255).all()  # transparent: white
    turned = Image.fromarray(np.zeros((4, 6, 3), np.uint8))
    turned.getexif()[274] = 6
    assert as_pixels(turned).shape == (6, 4, 3)


@pytest.mark.once
@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((2, 4, 4, 3), np.uint8), [0], "there are 2 images and 1 labels; pass one for each image"),
        (np.full((2, 4, 4, 3), -1.0), [0, 1], "or be uint16. Received: float64, values from -1 to -1"),
        (np.full((2, 4, 4, 3), np.nan), [0, 1], "Received: float64, NaN"),
        (np.zeros((2, 4, 4, 65), np.uint8), [0, 1], r"with 1 to 64 channels, .* Received: \(2, 4, 4, 65\)"),
        (np.zeros((2, 4, 4, 3), np.uint8), [0, [1]], "labels must be all single, or all lists of labels"),
        (np.zeros((2, 4, 4, 3), np.uint8), [0.5, 1.0], "a label must be a whole number or a name. Received: 0.5"),
        (np.zeros((2, 4, 4, 3), np.uint8), np.full((2, 3), 0.5), "labels in columns must be 0 or 1, or shares"),
        (np.zeros((0, 4, 4, 3), np.uint8), [], r"Received: \(0, 4, 4, 3\)"),
        ([], [], "there are no images"),
    ],
)
def test_what_cannot_be_learned_is_refused(images, labels, message):
    with pytest.raises((ArgumentError, DataError), match=message):
        train_examples((images, labels))


@pytest.mark.once
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (42, "can't be a int: pass a path; .images, labels. with arrays"),
        ({"test": (np.zeros((2, 4, 4, 3), np.uint8), [0, 1])}, "a dict of images must have train .* Received: test"),
        ((np.zeros((4, 4, 4, 3), np.uint8), [0, 1, 0, 1], [1, -1, 1, 1]), "weights must be 4 numbers from 0"),
        ((np.zeros((4, 4, 4, 3), np.uint8), [0] * 4), "has only one class; training needs two or more"),
    ],
)
def test_other_objects_are_refused(data, message):
    with pytest.raises((ArgumentError, DataError), match=message):
        train_examples(data)


@pytest.mark.once
def test_labels_of_every_kind():
    images = np.zeros((4, 4, 4, 3), np.uint8)
    assert train_examples({"train": (images, [10, 2, 2, 10]), "test": (images, [2] * 4)}).classes == ("2", "10")
    one = train_examples({"train": (images, np.eye(2)[[0, 1, 1, 0]]), "test": (images, [0] * 4)})
    assert (one.labels.tolist(), one.shares) == ([0, 1, 1, 0], None)
    soft = train_examples({"train": (images, np.array([[0.75, 0.25]] * 4)), "test": (images, [0] * 4)})
    assert soft.targets()[0].tolist() == [0.75, 0.25]
    several = train_examples({"train": (images, [["a", "b"], [], ["b"], ["b"]]), "test": (images, [["a"]] * 4)})
    assert several.several
    assert several.targets().tolist() == [[1, 1], [0, 0], [0, 1], [0, 1]]
    weighed = train_examples({"train": (images, [0, 1, 0, 1], [1, 2, 3, 4]), "test": (images, [0] * 4)})
    assert weighed.weights.tolist() == [1, 2, 3, 4]
    grey = open_source((np.linspace(0, 1, 64).reshape(4, 4, 4), ["a", "a", "b", "b"]))
    assert grey.about_labels == ["images: float64 from 0 to 1, multiplied by 255"]
    assert grey.splits().train.images.shape[1:] == (4, 4, 1)


@pytest.mark.once
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="needs TensorFlow")
def test_a_tf_data_is_read_once_within_a_bound(tmp_path, monkeypatch):
    import tensorflow as tf

    write_photos(tmp_path / "photos", COLOURS, 4)
    data = keras.utils.image_dataset_from_directory(
        tmp_path / "photos", image_size=(24, 24), batch_size=5, verbose=False
    )
    examples = open_source(data).everything(NAMES)
    assert (len(examples), examples.classes, np.bincount(examples.labels).tolist()) == (12, NAMES, [4, 4, 4])
    assert open_source(data).about_labels == ["images: float32 from 0 to 255, rounded"]
    single = tf.data.Dataset.from_tensor_slices(arrays(4))
    assert len(open_source(single).everything(("0", "1", "2"))) == 12
    monkeypatch.setattr("resnext.data.memory.MAX_BYTES", 100_000)
    with pytest.raises(DataError, match=r"a tf\.data\.Dataset has more than 0\.0001 GB of images, which are read"):
        open_source(single.repeat())
    with pytest.raises(DataError, match=r"must yield \(images, labels\), or these and weights; it yields ndarray"):
        open_source(tf.data.Dataset.from_tensor_slices(arrays(1)[0]))


def hugging_face(columns, features):
    """What is used of a Hugging Face dataset."""

    class Dataset:
        def __init__(self):
            self.features = features

        def __len__(self):
            return len(columns["image"])

        def __getitem__(self, key):
            return columns[key] if isinstance(key, str) else {name: column[key] for name, column in columns.items()}

    Dataset.__module__ = "datasets.arrow_dataset"
    return Dataset()


def feature(kind, **facts):
    return type(kind, (), facts)()


@pytest.mark.once
def test_a_hugging_face_dataset_is_read_by_its_features():
    images, labels = arrays(4)
    pictures = [Image.fromarray(image) for image in images]
    names = feature("ClassLabel", names=[*NAMES])
    data = hugging_face({"image": pictures, "label": labels.tolist()}, {"image": feature("Image"), "label": names})
    examples = train_examples({"train": data, "test": data})
    assert examples.classes == NAMES
    assert examples.labels.tolist() == labels.tolist()
    np.testing.assert_array_equal(examples.images[3], images[3])
    listed = feature("Sequence", feature=names)
    columns = {"image": pictures, "tags": [[label] for label in labels]}
    data = hugging_face(columns, {"image": feature("Image"), "tags": listed})
    assert train_examples({"train": data, "test": data}).several
    with pytest.raises(DataError, match="one column of images and one of labels; this one has image, text"):
        open_source(hugging_face({"image": pictures}, {"image": feature("Image"), "text": feature("Value")}))


@pytest.mark.once
def test_the_real_library_of_hugging_face(tmp_path):
    datasets = pytest.importorskip("datasets")
    write_photos(tmp_path / "photos" / "train", COLOURS, 6)
    data = datasets.load_dataset("imagefolder", data_dir=str(tmp_path / "photos"), cache_dir=str(tmp_path / "cache"))
    result = train({"train": data["train"], "test": data["train"]}, out=tmp_path / "run", **SMALL)
    assert Model.open(tmp_path / "run").classes == NAMES
    assert len(result.test) == 18
    assert len(evaluate(tmp_path / "run", data["train"])) == 18


@pytest.mark.once
def test_a_data_set_of_torchvision_is_known_by_what_it_has():
    images, labels = arrays(4)

    class ImageFolder:
        classes, targets = [*NAMES], labels.tolist()

        def __getitem__(self, index):
            return Image.fromarray(images[index]), labels[index]

    examples = train_examples({"train": ImageFolder(), "test": ImageFolder()})
    assert examples.classes == NAMES
    np.testing.assert_array_equal(examples.images[5], images[5])


@pytest.mark.once
def test_folds_of_arrays(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    result = cross_validate(arrays(6), out=tmp_path / "folds", folds=2, **SMALL | {"epochs": 1})
    assert len(result.right) == 18
    assert "labels: 18 images of an array" in caplog.messages
    with pytest.raises(ArgumentError, match="`group_by` finds groups in paths, and these images have none"):
        train(arrays(6), out=tmp_path / "run", group_by="a", **SMALL)


@pytest.mark.once
def test_paths_that_the_weights_were_trained_on_are_not_tested_on(tmp_path):
    def paths(images):
        folder = write_photos(tmp_path / f"photos-{images}", COLOURS, images)
        found = sorted(folder.glob("*/*.png"))
        return found, [path.parent.name for path in found]

    (first, labels), (more, others) = paths(6), paths(7)
    train((first, labels), out=tmp_path / "first", **SMALL)
    train(([*first, *more], labels + others), out=tmp_path / "next", weights=str(tmp_path / "first"), epochs=1)
    trained, tested = Run.open(tmp_path / "first").images.trained, Run.open(tmp_path / "next").images.validation
    assert len(tested) >= 3
    assert not {*trained} & {*tested}
