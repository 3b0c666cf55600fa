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
from safetensors import safe_open

from resnext import Run, evaluate, explain, export, predict, train
from resnext.errors import RunError
from resnext.weights.save import to_bytes
from support.command import refusal, resnext
from support.photos import COLOURS, write_photos
from support.runs import QUICK, TINY, change_records, copy_of, records_of

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
                             "validation_accuracy", "temperature", "validation_macro_f1", "validation_macro_precision",
                             "validation_macro_recall", "validation_balanced_accuracy"]  # fmt: skip
    for picture in ("learning-curves.png", "confusion-matrix.png"):
        with Image.open(folder / picture) as image:
            assert min(image.size) > 300


def test_last_and_best_are_the_weights_they_say(trained, colours):
    folder, _ = trained
    with (folder / "metrics.csv").open() as file:
        accuracies = [float(row["validation_accuracy"]) for row in csv.DictReader(file)]
    assert evaluate(folder, colours, weights="last").top(1) == pytest.approx(accuracies[-1])
    assert evaluate(folder, colours, weights="best").top(1) == pytest.approx(max(accuracies))


def of_another_training(path):
    """The content of a file of weights with other values, as another training of the same network writes it."""
    with safe_open(path, "numpy") as file:
        metadata = {name: value for name, value in file.metadata().items() if name != "sha256"}
        weights = {name: file.get_tensor(name) * np.float32(1.01) for name in file.keys()}  # noqa: SIM118
    return to_bytes(weights, metadata)


@pytest.mark.once
@pytest.mark.parametrize("name", ["best", "last"])
def test_weights_of_another_training_are_refused_at_every_door(trained, colours, tmp_path, name):
    folder = copy_of(trained[0], tmp_path / "run")
    path = folder / f"{name}.safetensors"
    path.write_bytes(of_another_training(path))
    epoch = getattr(Run.open(folder).history, name).epoch
    message = (
        f"{path}: not the weights of epoch {epoch}, which metrics.jsonl gives for it: the file comes from another run "
        f"or epoch. Put the right one back, or pass this file as: resnext14_2x4d --weights {path}"
    )
    image = next(iter(colours.glob("test/*/*.png")))
    doors = {
        "evaluate": lambda: evaluate(folder, colours, weights=name),
        "predict": lambda: [*predict(folder, [image], weights=name)],
        "explain": lambda: [*explain(folder, [image], weights=name)],
        "export": lambda: export(folder, tmp_path / "out.onnx", weights=name),
        "train": lambda: train(colours, weights=path, out=tmp_path / "new"),
    }
    for door, use in doors.items():
        with pytest.raises(RunError) as caught:
            use()
        assert str(caught.value) == message, door
    assert evaluate("resnext14_2x4d", colours, weights=path).top(1) > 0.5


@pytest.mark.once
def test_weights_that_a_kill_left_an_epoch_behind_are_used(trained, colours, tmp_path):
    folder = copy_of(trained[0], tmp_path / "run")
    rows = records_of(folder)
    change_records(folder, [*rows, {**rows[-1], "epoch": 7, "weights_sha256": "0" * 64}])  # written before the weights
    evaluate(folder, colours, weights="last")
    change_records(folder, [*rows, *({**rows[-1], "epoch": epoch, "weights_sha256": "0" * 64} for epoch in (7, 8))])
    with pytest.raises(RunError, match="not the weights of epoch 8"):
        evaluate(folder, colours, weights="last")
    change_records(folder, [{k: v for k, v in row.items() if k != "weights_sha256"} for row in rows])
    evaluate(folder, colours, weights="last")  # as in runs of earlier versions


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
