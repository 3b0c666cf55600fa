"""Going on from a run: more photos, some of them copies; other classes; its own data, and all of it."""

import dataclasses
import hashlib
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from resnext import evaluate, train
from resnext.errors import ArgumentError, DataError
from resnext.exporting.calibration import training_images
from resnext.images.preprocessing import Preprocessing
from resnext.inference.evaluate import data_of, examples_for, open_data_for
from resnext.inference.model import Model
from resnext.model.classifier import image_network
from resnext.runs.config import TrainingOptions
from resnext.runs.images import ImageRecord
from resnext.runs.run import Run
from resnext.training.build import adopt_head
from resnext.weights.load import load_weights
from resnext.weights.save import save_weights
from support.photos import COLOURS, write_photos

pytestmark = pytest.mark.once
SHORT = {"image_size": 24, "epochs": 2, "batch_size": 8, "learning_rate": 0.01}


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A run on 36 photos, and their folder."""
    folder = tmp_path_factory.mktemp("first")
    write_photos(folder / "photos", COLOURS, 12)
    train(folder / "photos", "resnet8", folder / "run", keep_every=1, pad=0.25, **SHORT)
    return folder / "run", folder / "photos"


@pytest.fixture
def configured(monkeypatch):
    """Trainings that end before their first step, with their configuration and images."""
    monkeypatch.setattr(
        "resnext.training.session.train_session", lambda folder, config, splits, *rest: (config, splits)
    )


def test_a_run_grown_twice_is_tested_on_what_no_network_was_trained_on(first, tmp_path, caplog):
    run, photos = first
    folders, trained = [run], [{*Run.open(run).images.trained}]
    held_out = {*Run.open(run).images.validation}
    data = shutil.copytree(photos, tmp_path / "photos")
    for number in (1, 2):
        for folder in data.iterdir():  # copies under other names, of images on both sides
            for i, file in enumerate(sorted(folder.glob("0*.png"))[:: 4 - number]):
                shutil.copy(file, folder / f"IMG {number} {i}.png")
        more = write_photos(tmp_path / f"more {number}", COLOURS, 6 + number)
        for file in more.glob("*/*.png"):
            file.rename(data / file.parent.name / f"new {number} {file.name}")
        with caplog.at_level("INFO"):
            train(data, out=tmp_path / f"run {number}", weights=folders[-1], epochs=1, seed=number)
        folders.append(tmp_path / f"run {number}")
        record = Run.open(folders[-1]).images
        tested = {sha256(data / path) for path in Run.open(folders[-1]).held_out}
        assert tested == {*record.validation}
        assert not tested & {*record.trained}
        assert not any(tested & seen for seen in trained)
        assert held_out <= tested
        assert {*record.before} == set().union(*trained)
        trained.append({*record.trained})
        held_out = tested
    assert len(held_out) == 6 + 3 * (1 + 1)
    assert sum(message.startswith("held out: ") for message in caplog.messages) == 2
    assert Run.open(folders[-1]).config.recipe.pad == 0.25


def test_the_same_classes_go_on_by_the_recipe_of_the_run(first, tmp_path, configured, caplog):
    run, photos = first
    with caplog.at_level("INFO"):
        config, splits = train(photos, out=tmp_path / "a", weights=run)
    assert (config.recipe.name, config.recipe.pad, config.recipe.epochs, config.recipe.freeze) == (
        "photos",
        0.25,
        2,
        (),
    )
    assert (config.recipe.warmup_epochs, Run.open(run).config.recipe.warmup_epochs) == (0, 1)
    assert f"weights: {run} is continued by its own recipe, photos, because its classes are the same" in caplog.messages
    assert [*splits.held_out] == Run.open(run).held_out
    longer, _ = train(photos, out=tmp_path / "b", weights=run, epochs=9, seed=7, classes=("red", "blue", "green"))
    assert (longer.recipe.epochs, longer.recipe.pad, longer.classes) == (9, 0.25, ("red", "blue", "green"))
    other, splits = train(photos, out=tmp_path / "c", weights=run, classes=("red", "blue"), epochs=3)
    assert (other.recipe.name, other.recipe.epochs, other.recipe.freeze) == ("finetune", 3, (1, 2))
    assert splits.train.classes == ("red", "blue")
    assert {image.parent.name for image in splits.train.images} == {"red", "blue"}
    assert (
        f"weights: the recipe is finetune, because the classes are not those of {run}; gone: green" in caplog.messages
    )
    named, _ = train(photos, out=tmp_path / "d", weights=run, recipe="finetune", image_size=24)
    assert named.recipe.name == "finetune"


def test_classes_are_chosen_and_ordered_and_asked_for_by_name(first, tmp_path):
    _, photos = first
    result = train(photos, "resnet8", tmp_path / "run", classes=("red", "blue"), **SHORT | {"epochs": 1})
    config = Run.open(tmp_path / "run").config
    assert config.classes == config.options.classes == result.test.classes == ("red", "blue")
    assert json.loads((tmp_path / "run" / "config.json").read_text())["chosen_classes"] == ["red", "blue"]
    assert evaluate(tmp_path / "run").classes == ("red", "blue")
    parts = write_photos(tmp_path / "parts" / "test", COLOURS, 3).parent
    write_photos(parts / "train", COLOURS, 2)
    assert np.bincount(evaluate(tmp_path / "run", parts).labels).tolist() == [3, 3]
    with pytest.raises(
        DataError, match=r"has no class 'rad'. Did you mean red\? --classes must be among blue, green, red"
    ):
        train(photos, out=tmp_path / "x", classes=("rad", "blue"))
    for wrong in (("red",), ("red", "red"), "red"):
        with pytest.raises(ArgumentError, match=r"`classes` must be two names or more, no two the same. Received"):
            TrainingOptions(classes=wrong)


def test_the_data_of_a_run_is_known_and_all_of_it_can_be_asked_for(first, tmp_path, caplog):
    run, photos = first
    model = Model.open(run)
    assert evaluate(run).labels.tolist() == evaluate(run, photos).labels.tolist()
    data = shutil.copytree(photos, tmp_path / "photos")
    for file in write_photos(tmp_path / "more", COLOURS, 5).glob("*/*.png"):
        file.rename(data / file.parent.name / f"new {file.name}")
    with caplog.at_level("INFO"):
        assert len(examples_for(model, open_data_for(data, False, model))) == 6
        assert "15 images more than the run had; --all evaluates all that it was not trained on" in caplog.messages
        everything = examples_for(model, open_data_for(data, False, model), everything=True)
    assert "left out: 30 of 51 images, on which it was trained" in caplog.messages
    assert len(everything) == 6 + 15
    assert not {sha256(image) for image in everything.images} & {*Run.open(run).images.trained}
    for path in [*(data / path for path in Run.open(run).held_out), *data.glob("*/new *")]:
        path.unlink()
    with pytest.raises(DataError, match="was trained on all 30 images of"):
        examples_for(model, open_data_for(data, False, model), everything=True)
    with pytest.raises(ArgumentError, match=r"is not a run, which would know its data. Pass DATA to evaluate it on.$"):
        data_of(Model.open(run / "best.safetensors"), None)


def test_weights_of_epochs_are_kept_and_checked(first):
    run, photos = first
    assert sorted(path.name for path in run.glob("epoch-*")) == ["epoch-0001.safetensors", "epoch-0002.safetensors"]
    assert (run / "epoch-0002.safetensors").read_bytes() == (run / "last.safetensors").read_bytes()
    row = Run.open(run).history.rows[0]
    kept = evaluate(run, photos, weights="epoch-0001")
    assert kept.loss == pytest.approx(row.validation_loss, rel=1e-4)
    assert Model.open(run, "epoch-0001").temperature == row.temperature
    with pytest.raises(
        ArgumentError, match=r"`weights` must be one of best, last, epoch-0001, epoch-0002. Received: 'epoch-3'"
    ):
        Model.open(run, "epoch-3")
    for value in (0, -1):
        with pytest.raises(ArgumentError, match="`keep_every` must be at least 1"):
            TrainingOptions(keep_every=value)


def test_a_head_is_loaded_by_the_names_of_its_classes(tmp_path):
    preprocessing = Preprocessing(16, 16)
    network = image_network("resnet8", 3, preprocessing)
    network.class_names = ("cat", "dog", "owl")
    bias = np.array([1.0, 2.0, 3.0], np.float32)
    kernel = network.get_layer("predictions").get_weights()[0]
    network.get_layer("predictions").set_weights([kernel, bias])
    save_weights(network, tmp_path / "a.safetensors")
    other = image_network("resnet8", 3, preprocessing)
    load_weights(other, tmp_path / "a.safetensors")
    adopt_head(other, str(tmp_path / "a.safetensors"), ("owl", "bee", "cat"))
    found, moved = other.get_layer("predictions").get_weights()
    assert moved.tolist() == [3, 0, 1]
    np.testing.assert_array_equal(found[:, [0, 2]], kernel[:, [2, 0]])
    assert np.abs(found[:, 1] - kernel[:, 1]).max() > 1e-3
    adopt_head(other, str(tmp_path / "a.safetensors"), ("cat", "dog", "owl"))  # the same: nothing to do
    assert other.get_layer("predictions").get_weights()[1].tolist() == [3, 0, 1]


def test_int8_is_calibrated_on_what_a_grown_run_was_trained_on(first, tmp_path, configured):
    """Not on another draw of its data, which would have images that it held out."""
    run, photos = first
    data = shutil.copytree(photos, tmp_path / "photos")
    for file in write_photos(tmp_path / "more", COLOURS, 7).glob("*/*.png"):
        file.rename(data / file.parent.name / f"new {file.name}")
    config, splits = train(data, out=tmp_path / "grown", weights=run)
    model = Model.open(run)
    grown = SimpleNamespace(held_out=[*splits.held_out], config=config, images=ImageRecord(), folder=tmp_path / "grown")
    found = training_images(dataclasses.replace(model, run=grown), open_data_for(data, False))
    assert list(found.images) == list(splits.train.images)
