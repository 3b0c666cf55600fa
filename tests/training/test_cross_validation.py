"""All folds by one command: the same runs as by one command each, and a prediction for every image."""

import csv

import numpy as np
import pytest

from resnext import cross_validate, evaluate, train
from resnext.errors import ArgumentError, RunError
from resnext.training.signals import Stopped
from support.command import resnext
from support.photos import COLOURS, write_photos

pytestmark = pytest.mark.once
SHORT = {"image_size": 24, "epochs": 1, "batch_size": 8, "learning_rate": 0.01, "seed": 3}
SAME = ("best.safetensors", "metrics.csv", "held-out.json", "config.json")


def test_folds_are_the_runs_of_single_commands_and_go_on_where_they_stopped(tmp_path, monkeypatch):
    photos = write_photos(tmp_path / "photos", COLOURS, 9)
    options = [word for name, value in SHORT.items() for word in (f"--{name.replace('_', '-')}", value)]
    single = resnext(
        "train", photos, "--variant", "resnet8", *options, "--folds", 3, "--fold", 2, "--out", tmp_path / "2"
    )
    assert single.returncode == 0, single.stderr
    folder, calls = tmp_path / "folds", []

    def stopped(data, variant, out, **keywords):
        calls.append(out.name)
        if len(calls) == 2:
            raise Stopped("stopped")
        return train(data, variant, out, **keywords)

    monkeypatch.setattr("resnext.training.cross_validation.train", stopped)
    with pytest.raises(Stopped):
        cross_validate(photos, "resnet8", folder, folds=3, **SHORT)
    process = resnext("train", photos, "--variant", "resnet8", *options, "--folds", 3, "--out", folder)
    assert process.returncode == 0, process.stderr
    for name in SAME:
        assert (folder / "fold-2" / name).read_bytes() == (tmp_path / "2" / name).read_bytes(), name
    again = cross_validate(photos, "resnet8", folder, folds=3, **SHORT)  # everything is finished
    assert calls == ["fold-1", "fold-2"]
    with again.predictions.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len({row["image"] for row in rows}) == len(again.right) == 27
    of_fold = [row for row in rows if row["fold"] == "2"]
    single_fold = evaluate(folder / "fold-2", photos, weights="last")
    assert [row["predicted"] for row in of_fold] == [single_fold.classes[i] for i in single_fold.predicted]
    shares = np.array([[float(row[f"probability of {name}"]) for name in single_fold.classes] for row in of_fold])
    np.testing.assert_allclose(shares.max(axis=1), single_fold.probabilities, rtol=1e-4)
    assert again.accuracies[1] == single_fold.top(1)
    lines = process.stdout.splitlines()
    assert f"fold 2: test top-1 {100 * single_fold.top(1):.2f} % of 9 images (last epoch)" in lines
    mean, low, high = (
        100 * value for value in (np.mean(again.accuracies), min(again.accuracies), max(again.accuracies))
    )
    assert f"mean of 3 folds: {mean:.2f} %, from {low:.2f} to {high:.2f}" in lines
    assert lines[-1] == f"written: {again.predictions}"
    with pytest.raises(
        RunError, match=r"fold-1: a fold of another cross-validation. Pass the same options, or another"
    ):
        cross_validate(photos, "resnet8", folder, folds=4, **SHORT)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(
        RunError, match=r"folds: holds other files, such as notes.txt. Choose another --out for the folds"
    ):
        cross_validate(photos, "resnet8", folder, folds=3, **SHORT)
    with pytest.raises(RunError, match=r"fold-1: is a run. Choose another --out for the folds.$"):
        cross_validate(photos, "resnet8", folder / "fold-1", folds=3, **SHORT)
    for wrong in ({}, {"folds": 3, "fold": 1}):
        with pytest.raises(ArgumentError, match=r"`folds` must be given, and `fold` not. Received"):
            cross_validate(photos, "resnet8", tmp_path / "x", **wrong)
    with pytest.raises(ArgumentError, match="`folds` and `fold` belong together"):
        train(photos, "resnet8", tmp_path / "x", folds=3, **SHORT)


def test_an_image_that_was_left_out_is_left_out_of_the_predictions_and_of_evaluations(tmp_path):
    photos = write_photos(tmp_path / "photos", COLOURS, 8)
    broken = photos / "red" / "000.png"
    broken.write_bytes(broken.read_bytes()[:60])
    found = cross_validate(photos, "resnet8", tmp_path / "folds", folds=2, skip_bad=1, **SHORT)
    assert len(found.right) == 23
    assert broken.name not in [
        row["image"] for row in csv.DictReader(found.predictions.open()) if "red" in row["image"]
    ]
    assert sum(len(evaluate(run.folder, weights="last")) for run in found.runs) == 23
