"""A run folder: what it holds, where it may lie, and what is never touched."""

import csv
import dataclasses
import json
import os
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from resnext import evaluate, train
from resnext.errors import RunError
from support.command import refusal, resnext
from support.photos import COLOURS, write_photos
from support.runs import QUICK, TINY

FILES = {"config.json", "held-out.json", "images.json", "metrics.csv", "metrics.jsonl", "last.safetensors",
         "best.safetensors", "checkpoints", "learning-curves.png", "confusion-matrix.png", "class-accuracy.png",
         "worst-mistakes.png", "report.html"}  # fmt: skip


@pytest.mark.once
def test_run_folder_holds_everything(trained):
    folder, _ = trained
    assert {entry.name for entry in folder.iterdir()} == FILES
    config = json.loads((folder / "config.json").read_text())
    assert config["classes"] == ["blue", "green", "red"]
    assert (config["variant"], config["seed"], config["dtype"]) == ("resnext14_2x4d", 1, "float32")
    assert config["preprocessing"]["size"] == 32
    assert (config["recipe"]["epochs"], config["recipe"]["batch_size"]) == (6, 8)
    assert config["versions"]["backend"] == keras.backend.backend()
    with (folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == list("123456")
    assert list(rows[0]) == ["epoch", "learning_rate", "train_loss", "train_accuracy", "validation_loss",
                             "validation_accuracy", "temperature"]  # fmt: skip
    for picture in ("learning-curves.png", "confusion-matrix.png"):
        with Image.open(folder / picture) as image:
            assert min(image.size) > 300


def test_last_and_best_are_the_weights_they_say(trained, colours):
    folder, _ = trained
    with (folder / "metrics.csv").open() as file:
        accuracies = [float(row["validation_accuracy"]) for row in csv.DictReader(file)]
    assert evaluate(folder, colours, weights="last").top(1) == pytest.approx(accuracies[-1])
    assert evaluate(folder, colours, weights="best").top(1) == pytest.approx(max(accuracies))


@pytest.mark.once
def test_a_used_folder_is_never_touched(trained, colours):
    folder, _ = trained
    before = {entry: entry.read_bytes() for entry in folder.rglob("*") if entry.is_file()}
    process = resnext("train", colours, "--variant", TINY, "--out", folder)
    assert refusal(process) == (f"{folder}: holds a run (finished, 6 epochs); choose another --out for a new one.")
    assert {entry: entry.read_bytes() for entry in folder.rglob("*") if entry.is_file()} == before
    assert refusal(resnext("train", colours, "--variant", TINY, "--out", colours.parent)) == (
        f"{colours.parent}: holds other files. A run needs a new or an empty folder: choose another --out."
    )
    file = folder / "config.json"
    assert "is a file" in refusal(resnext("train", colours, "--variant", TINY, "--out", file))


@pytest.mark.once
def test_a_run_inside_its_data_is_refused(colours, tmp_path):
    out = colours / "deep" / "run"
    assert refusal(resnext("train", colours, "--variant", TINY, "--out", out)) == (
        f"{out}: lies inside {colours}, where its plots would be read as training images. Choose another --out."
    )
    assert not out.parent.exists()


@pytest.mark.once
def test_a_run_inside_the_local_copy_of_a_word_is_refused(colours, tmp_path, monkeypatch):
    shutil.copytree(colours, tmp_path / "cifar10")
    monkeypatch.delenv("RESNEXT_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError, match=r"^cifar10/run: lies inside cifar10, where its plots"):
        train("cifar10", TINY, "cifar10/run", recipe=QUICK)


@pytest.mark.once
def test_only_what_the_run_made_is_taken_back(colours, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "resnext.training.recorder.Recorder.on_epoch_begin", lambda *_: (_ for _ in ()).throw(OSError(28, "x"))
    )
    for existed in (True, False):
        if existed:
            (tmp_path / "run").mkdir()
        with pytest.raises(OSError, match="x"):
            train(colours, TINY, tmp_path / "run", recipe=QUICK)
        assert list(tmp_path.glob("*/*")) == []
        assert (tmp_path / "run").exists() == existed
        shutil.rmtree(tmp_path / "run", ignore_errors=True)


@pytest.mark.once
def test_a_folder_that_cannot_be_made_is_one_line(colours, tmp_path):
    (tmp_path / "file").touch()  # no right is missing: root has them all
    process = resnext("train", colours, "--variant", TINY, "--out", tmp_path / "file" / "run",
                      "--image-size", 24)  # fmt: skip
    assert refusal(process) == (
        f"{tmp_path / 'file' / 'run'}: can't be written to (Not a directory). Allow that, or choose another --out."
    )


def test_held_out_paths_may_be_any_bytes_below_a_train_folder(tmp_path):
    names = [os.fsdecode(b"\xff\n%d" % i) for i in range(3)]
    write_photos(tmp_path / "photos" / "train", COLOURS, 3)
    for file in sorted(tmp_path.glob("photos/train/*/*.png")):
        file.rename(file.with_name(names[int(file.stem)] + ".png"))
    quick = dataclasses.replace(QUICK, epochs=1)
    trained = train(tmp_path / "photos", TINY, tmp_path / "run", recipe=quick)
    evaluation = evaluate(tmp_path / "run", tmp_path / "photos", weights="last")
    np.testing.assert_allclose(evaluation.losses, trained.test.losses, atol=1e-4)


@pytest.mark.once
def test_a_run_beside_data_of_a_word_is_no_run_inside_it(tmp_path, monkeypatch):
    """The word `digits` is no folder, also where there is one of its name."""
    pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    tiny = dataclasses.replace(QUICK, image_size=8, epochs=1, batch_size=512)
    assert train("digits", "resnext11_2x4d", "digits/run", recipe=tiny).folder == Path("digits/run")
