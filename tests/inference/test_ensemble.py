"""Several models as one: their logits are averaged, wherever a model is used."""

import shutil

import numpy as np
import pytest

from resnext import ResNeXt, evaluate, explain, export, predict, save_weights
from resnext.errors import ArgumentError
from resnext.images.preprocessing import Preprocessing
from resnext.inference.model import Model
from support.command import refusal, resnext
from support.networks import with_random_statistics
from support.photos import write_photos

CLASSES = ("blue", "green", "red")


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    """Two files of weights, of different networks, with the same classes in different orders."""
    folder, files = tmp_path_factory.mktemp("members"), []
    for name, classes in (("resnext14_2x4d", CLASSES), ("seresnext26_4x4d", CLASSES[::-1])):
        network = with_random_statistics(ResNeXt(name, input_shape=(64, 64, 3), classes=3))
        network.preprocessing, network.class_names = Preprocessing(64, 72), classes
        files.append(folder / f"{name}.safetensors")
        save_weights(network, files[-1])
    return files


@pytest.fixture
def images():
    return np.random.default_rng(1).integers(0, 256, (5, 64, 64, 3), np.uint8)


def mean_of(members, images, outputs=("logits",)):
    """The mean logits of the members, and those of their maps of the first image and class."""
    computed = []
    for file in members:
        model = Model.open(file)
        given = model.engines(outputs=outputs)[0].outputs(images)
        order = [model.classes.index(name) for name in CLASSES]
        maps = given.activation_map(0, order[0]) if "maps" in outputs else 0
        computed.append((given.logits[:, order], maps))
    logits, maps = zip(*computed, strict=True)
    return np.mean(logits, axis=0), np.mean(maps, axis=0)


def test_logits_and_maps_are_the_means_of_those_of_the_members(members, images):
    model = Model.open("+".join(map(str, members)))
    assert (model.classes, model.network) == (CLASSES, "resnext14_2x4d + seresnext26_4x4d")
    (engine,) = model.engines(outputs=("logits", "maps"))
    given = engine.outputs(images)
    logits, maps = mean_of(members, images, ("logits", "maps"))
    np.testing.assert_allclose(given.logits, logits, atol=1e-5 * np.abs(logits).max())
    np.testing.assert_allclose(given.activation_map(0, 0), maps, atol=1e-5 * np.abs(maps).max())


@pytest.mark.once
def test_its_file_is_one_graph_with_the_mean_of_its_parts(members, images, tmp_path):
    exported = export("+".join(map(str, members)), tmp_path / "both.onnx")
    file = Model.open(exported.path)
    logits, _ = mean_of(members, images)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    given = file.engines()[0].outputs(images).probabilities()
    np.testing.assert_allclose(given, shares, atol=1e-5)
    assert file.network == "resnext14_2x4d + seresnext26_4x4d"


@pytest.mark.once
def test_commands_take_it(members, trained, colours, tmp_path):
    both = "+".join(map(str, members))
    write_photos(tmp_path / "photos", {"red": (200, 30, 30), "blue": (30, 30, 200)}, 3, size=80)
    (first, *others) = predict(both, tmp_path / "photos", top=3)
    assert len(others) == 5
    assert {name for name, _ in first.classes} == {*CLASSES}
    (explained, *_) = explain(both, tmp_path / "photos")
    assert explained.map.shape == (2, 2)
    again = tmp_path / "again"
    shutil.copytree(trained[0], again)
    process = resnext("evaluate", f"{trained[0]}+{again}")
    assert process.returncode == 0, process.stderr
    assert "these images also chose the epoch" in process.stdout
    assert evaluate(f"{trained[0]}+{again}", colours).losses == pytest.approx(evaluate(again, colours).losses, abs=1e-5)
    trained_on = resnext("evaluate", f"{trained[0]}+{again}", colours / "train")
    assert "it was trained on all of these 72 images" in trained_on.stdout


@pytest.mark.once
def test_what_cannot_be_averaged_is_refused(members, trained, weights, exported, tmp_path):
    both = "+".join(map(str, members))
    for model, words in (
        (f"{members[0]}+{members[0]}", "twice. Name each model once"),
        (f"{members[0]}+", "has a + without a model on one side"),
        (f"{members[0]}+{weights}", "has other classes than"),
        (f"{members[0]}+{exported[0]}", "is an exported file, which can't be averaged"),
        (f"{trained[0]}+{members[1]}", "prepares images in another way than"),
    ):
        with pytest.raises(ArgumentError, match=words.replace("+", r"\+")):
            Model.open(model)
    assert "averages 2 models, and a bundle holds the weights of one" in refusal(
        resnext("export", both, "--out", tmp_path / "bundle", "--to", "bundle")
    )
    photos = tmp_path / "photos"
    write_photos(photos, {"red": (200, 30, 30), "blue": (30, 30, 200)}, 3, size=80)
    assert "averages 2 models, and paths belong to one network" in refusal(
        resnext("explain", both, photos, "--out", tmp_path / "paths", "--paths")
    )
    assert "are not runs of the same data. Pass DATA to evaluate it on" in refusal(resnext("evaluate", both))
    assert "only a single run has one" in refusal(resnext("predict", both, photos, "--calibrated"))
