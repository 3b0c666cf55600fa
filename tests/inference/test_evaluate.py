"""`evaluate` and `resnext evaluate`: classes by name, views and sizes, a second model."""

import json
import re
import shutil

import numpy as np
import pytest

from resnext import evaluate
from resnext.images.views import Views
from resnext.inference.model import Model
from resnext.inference.options import EvaluationOptions, at_size
from support.command import refusal, resnext
from support.photos import COLOURS, write_photos
from support.runs import change_config


def logits_by_hand(run, images, preprocessing):
    (network,) = Model.open(run).build([preprocessing])
    return network.predict_on_batch(np.stack(images))


@pytest.mark.once
def test_views_and_sizes_are_averaged_as_logits(trained, colours):
    folder, _ = trained
    own = Model.open(folder).preprocessing
    options = EvaluationOptions(size=(32, 40), crop=0.8, crops=10)
    given = evaluate(folder, colours, options=options)
    files = sorted((colours / "test").glob("*/*.png"))
    total = 0
    for size in (32, 40):
        views = Views(at_size(own, size, 0.8, None), crops=10)
        stacked = [view for file in files for view in views.load(file)]
        logits = logits_by_hand(folder, stacked, views.preprocessing).reshape(len(files), 10, 3)
        total = total + logits.mean(axis=1) / 2
    expected = total - np.log(np.exp(total).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(given.losses, -expected[np.arange(len(files)), given.labels], atol=1e-4)


@pytest.mark.once
def test_only_classes_of_the_data_count(trained, tmp_path):
    """The paper's Table 6: a network of more classes is judged among those of the data."""
    folder, _ = trained
    write_photos(tmp_path / "two", {name: COLOURS[name] for name in ("red", "green")}, 6)
    all_of_them = evaluate(folder, tmp_path / "two")
    given = evaluate(folder, tmp_path / "two", options=EvaluationOptions(only_data_classes=True))
    assert given.classes == ("green", "red")
    assert {*given.labels.tolist()} == {0, 1}
    assert (given.losses <= all_of_them.losses).all()
    assert given.loss < all_of_them.loss  # a loss may be zero in float32 either way
    process = resnext("evaluate", folder, tmp_path / "two", "--only-data-classes")
    assert "no images of" not in process.stdout


@pytest.mark.once
def test_models_that_cannot_be_compared_are_refused_before_they_are_evaluated(trained, weights, colours, tmp_path):
    folder, _ = trained
    assert refusal(resnext("evaluate", folder, colours, "--against", weights, "--out", tmp_path / "out")) == (
        f"{folder} and {weights} have different classes. Pass models of the same classes."
    )
    assert not (tmp_path / "out").exists()
    shutil.copytree(folder, tmp_path / "other")
    held_out = [path.relative_to(colours / "train").as_posix() for path in (colours / "train").glob("red/*.png")]
    (tmp_path / "other" / "held-out.json").write_text(json.dumps(held_out))
    assert "held-out.json: damaged" in refusal(
        resnext("evaluate", folder, colours / "train", "--against", tmp_path / "other")
    )
    change_config(tmp_path / "other")
    message = "held out different images of this data. Pass images that neither was trained on."
    assert message in refusal(resnext("evaluate", folder, colours / "train", "--against", tmp_path / "other"))
    assert "can't be made (" in refusal(resnext("evaluate", folder, colours, "--out", "/proc/nothing"))


@pytest.mark.once
def test_a_second_model_on_the_same_images(trained, colours):
    folder, _ = trained
    process = resnext("evaluate", folder, colours, "--against", folder)
    best = evaluate(folder, colours)
    right = int((best.predicted == best.labels).sum())
    assert (
        f"both right {right}, only the first 0, only the second 0, neither {12 - right}; McNemar's exact test: p = 1"
        in (process.stdout)
    )


def test_evaluate_prints_the_accuracy_that_training_printed(trained, colours):
    folder, process = trained
    printed = re.search(r"test top-1 ([\d.]+ %)", process.stdout)[1]
    evaluation = resnext("evaluate", folder, colours, "--weights", "last")
    assert re.search(rf"^top-1 +{printed} \(", evaluation.stdout, re.MULTILINE)
    assert "12 images at 32 pixels, last weights, keras; 95 % intervals in parentheses\n" in evaluation.stdout


@pytest.mark.once
def test_classes_are_matched_by_name(trained, tmp_path):
    """A folder with fewer classes, in another order of numbers, is judged by its names."""
    folder, _ = trained
    write_photos(tmp_path / "some", {name: COLOURS[name] for name in ("red", "green")}, 6)
    process = resnext("evaluate", folder, tmp_path / "some")
    assert "no images of 1 of 3 classes: blue" in process.stdout
    evaluation = evaluate(folder, tmp_path / "some")
    assert evaluation.classes == ("blue", "green", "red")
    assert sorted(set(evaluation.labels.tolist())) == [1, 2]
    assert evaluation.top(1) > 0.6
    assert evaluation.confusion.sum() == 12
    assert evaluation.confusion[0].sum() == 0
