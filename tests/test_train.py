"""The main job through its public doors: train, evaluate and predict on photos, and what a run folder holds."""

import csv
import dataclasses
import itertools
import json
import os
import re
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from conftest import COLOURS, refusal, resnext, write_photos
from PIL import Image
from safetensors.numpy import load_file

from resnext import ResNeXt, evaluate, predict, train
from resnext.errors import ArgumentError, RunError
from resnext.inference.evaluate import evaluate_examples
from resnext.inference.model import Model
from resnext.inference.predict import BATCH_SIZE, PredictionOptions
from resnext.metrics.evaluation import Evaluation
from resnext.recipes.names import get_recipe
from resnext.runs.run import Run
from resnext.training.saving import Saving
from resnext.variants.names import get_variant
from resnext.weights.variables import get_weights

TINY = "resnet8"  # three basic blocks: what is tested is the run, not the network
QUICK = dataclasses.replace(get_recipe("photos"), image_size=24, epochs=3, batch_size=8, learning_rate=0.003)
FILES = {"config.json", "held-out.json", "metrics.csv", "metrics.jsonl", "last.safetensors", "best.safetensors",
         "checkpoints", "learning-curves.png", "confusion-matrix.png", "class-accuracy.png", "worst-mistakes.png",
         "report.html"}  # fmt: skip


def test_train_learns_and_says_so(trained):
    folder, process = trained
    accuracy = float(re.search(r"test top-1 ([\d.]+) % of 12 images", process.stdout)[1])
    assert accuracy > 60  # of three colours that differ more than their noise
    assert re.search(r"best validation top-1 [\d.]+ % \(epoch \d\), saved in", process.stdout)
    assert f"plot: {folder / 'confusion-matrix.png'}" in process.stdout
    assert len(re.findall(r"epoch \d/6  loss .* images/s", process.stderr)) == 6


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


@pytest.mark.once
def test_predict_names_the_colour(trained, colours):
    folder, _ = trained
    images = [colours / "test" / "red" / "001.png", colours / "test" / "blue" / "000.png"]
    process = resnext("predict", folder, *images, "--top", 2)
    assert process.returncode == 0, process.stderr
    lines = process.stdout.splitlines()
    assert re.fullmatch(rf"{images[0]} +[\d.]+ % red +[\d.]+ % \w+", lines[0])
    assert re.match(rf"{images[1]} +[\d.]+ % blue ", lines[1])
    assert re.search(r"^2 images in [\d.]+ s, [\d.]+ images/s \(keras\)$", process.stderr, re.MULTILINE)
    (prediction,) = predict(folder, images[:1])
    assert prediction.classes[0][0] == "red"
    assert sum(probability for _, probability in prediction.classes) == pytest.approx(1, abs=1e-5)


def test_predict_and_evaluate_agree(trained, colours):
    folder, _ = trained
    evaluation = evaluate(folder, colours)
    files = sorted((colours / "test").glob("*/*.png"))
    for i, prediction in enumerate(predict(folder, files, options=PredictionOptions(top=3))):
        given, own = dict(prediction.classes), evaluation.classes[evaluation.labels[i]]
        assert given[own] == pytest.approx(np.exp(-evaluation.losses[i]), abs=1e-4)
        assert [*given].index(own) == evaluation.ranks[i] - 1
        assert prediction.classes[0][0] == evaluation.classes[evaluation.predicted[i]]
        assert prediction.classes[0][1] == pytest.approx(evaluation.probabilities[i], abs=1e-4)
    assert i == len(evaluation.labels) - 1


@pytest.mark.once
def test_predict_keeps_the_order_over_batches(trained, colours):
    folder, _ = trained
    images = sorted(colours.glob("train/*/*.png"))[::3]
    assert len(images) > BATCH_SIZE
    three = PredictionOptions(top=3)
    given = list(predict(folder, images, options=three))
    assert [prediction.image for prediction in given] == [*map(str, images)]
    alone = [next(predict(folder, [image], options=three)) for image in images[::8]]
    for whole, single in zip(given[::8], alone, strict=True):
        assert dict(whole.classes) == pytest.approx(dict(single.classes), abs=1e-4)


def test_remat_trains_the_same_network(colours, tmp_path):
    arguments = ["train", colours, "--variant", TINY, "--image-size", 24, "--epochs", 1, "--batch-size", 16]
    weights = []
    for out, more in (("plain", []), ("remat", ["--remat"])):
        process = resnext(*arguments, "--learning-rate", 0.001, "--out", tmp_path / out, *more)
        assert process.returncode == 0, process.stderr
        weights.append(load_file(tmp_path / out / "last.safetensors"))
    plain, remat = weights
    assert plain.keys() == remat.keys()
    for name, array in plain.items():
        np.testing.assert_allclose(remat[name], array, rtol=1e-2, atol=2e-3, err_msg=name)


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
def test_the_rate_counts_the_images_that_a_step_has(colours, tmp_path, monkeypatch, caplog):
    """A batch larger than the data is the data: 72 images. A clock that counts calls ticks once in the only step."""
    clocks = {name: itertools.count().__next__ for name in ("perf_counter", "monotonic")}
    monkeypatch.setattr("resnext.training.state.time", SimpleNamespace(**clocks))
    large = dataclasses.replace(QUICK, epochs=1, batch_size=1000)
    train(colours, TINY, tmp_path / "run", recipe=large)
    assert "72.0 images/s" in caplog.text


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


@pytest.mark.once
def test_damaged_runs_are_refused(trained, colours, tmp_path):
    folder, _ = trained
    with pytest.raises(RunError, match=r"not a run folder \(no config.json\)"):
        Run.open(tmp_path)
    assert "a folder without best.safetensors, model" in refusal(resnext("predict", tmp_path, "x.png"))
    document = json.loads((folder / "config.json").read_text())
    preprocessing, recipe = document["preprocessing"], document["recipe"]
    changes = [
        {"extra": 1}, {"variant": 5}, {"variant": "resnext51_1x1d"}, {"dtype": "int8"}, {"dtype": []},
        {"recipe": {}}, {"recipe": {**recipe, "momentum": "0"}},
        {"preprocessing": {}}, {"preprocessing": 3}, {"preprocessing": {**preprocessing, "resize": 10**9}},
        {"classes": None}, {"classes": "abc"}, {"classes": []}, {"classes": ["a", "a"]}, {"classes": ["a", 1]},
        {"classes": ["a", ""]}, {"classes": [["a"], "b"]},
    ]  # fmt: skip
    texts = [json.dumps({**document, **change}) for change in changes]
    for text in (*texts, "{", "[]", "3", "[" * 100_000, "\xff"):
        (tmp_path / "config.json").write_text(text, encoding="latin-1")
        with pytest.raises(
            RunError, match=r"^[^\n]*config.json: damaged, or written by another version of resnext[^\n]*$"
        ):
            Run.open(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(document))
    assert "held-out.json: damaged" in refusal(resnext("evaluate", tmp_path, colours))
    assert "best.safetensors: no such weights file" in refusal(
        resnext("predict", tmp_path, colours / "test" / "red" / "000.png")
    )


@pytest.mark.once
def test_a_configuration_that_cannot_be_read_is_one_line(tmp_path):
    unreadable = Path("/proc/self/mem")  # also for root
    if not unreadable.is_file():
        pytest.skip("no /proc here")
    (tmp_path / "config.json").symlink_to(unreadable)
    assert "config.json: damaged, or written by another version of resnext ([Errno" in refusal(
        resnext("predict", tmp_path, "x.png")
    )


@pytest.mark.once
def test_wrong_options_of_evaluate_and_predict_are_refused(trained, colours):
    folder, _ = trained
    words = "`batch_size` must be at least 1. Received: 0"
    assert refusal(resnext("evaluate", folder, colours, "--batch-size", 0)) == words
    assert refusal(resnext("predict", folder, colours, "--top", 0)) == "`top` must be at least 1. Received: 0"


@pytest.mark.once
def test_a_run_is_a_source_of_weights(trained):
    folder, _ = trained
    network = ResNeXt("resnext14_2x4d", weights=folder)
    assert network.output_shape == (None, 3)
    assert network.preprocessing == Run.open(folder).config.preprocessing
    best = load_file(folder / "best.safetensors")
    assert {name: (value == best[name]).all() for name, value in get_weights(network).items()} == dict.fromkeys(
        best, True
    )


def test_a_network_larger_than_its_weights_is_refused_before_it_is_built(trained, tmp_path):
    folder, _ = trained
    document = json.loads((folder / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**document, "variant": "resnext152_9999x9999d"}))
    (tmp_path / "best.safetensors").write_bytes((folder / "best.safetensors").read_bytes())
    with pytest.raises(RunError, match=r"bytes, too few for resnext152_9999x9999d with 3 classes \(at least"):
        Model.open(tmp_path).build()


def test_same_seed_same_run(colours, tmp_path):
    quick = dataclasses.replace(QUICK, epochs=1)
    for name, seed in (("one", 1), ("two", 1), ("three", 2)):
        train(colours, TINY, tmp_path / name, recipe=quick, seed=seed)
    metrics = [(tmp_path / name / "metrics.csv").read_text() for name in ("one", "two", "three")]
    assert metrics[0] == metrics[1] != metrics[2]


@pytest.mark.once
def test_class_folders_without_a_split_are_judged_on_images_held_out(tmp_path):
    data, run = write_photos(tmp_path / "photos", COLOURS, 12), tmp_path / "run"
    trained = train(data, TINY, run, recipe=dataclasses.replace(QUICK, image_size=32), seed=5)
    held_out = json.loads((run / "held-out.json").read_text())
    assert len(trained.test.labels) == len(held_out) == 6
    assert held_out == sorted(held_out)

    def same(evaluation):
        np.testing.assert_array_equal(evaluation.labels, trained.test.labels)
        np.testing.assert_allclose(evaluation.losses, trained.test.losses, atol=1e-4)

    same(evaluate(run, data, weights="last"))
    # What comes or goes later makes no training image a test image.
    learned = next(path for path in sorted(data.glob("*/*.png")) if path.relative_to(data).as_posix() not in held_out)
    learned.rename(data / "red" / "new.png")
    same(evaluate(run, data, weights="last"))
    moved = data.rename(tmp_path / "moved")
    same(evaluate(run, moved, weights="last"))

    other = write_photos(tmp_path / "other", COLOURS, 2)
    assert len(evaluate(run, other).labels) == 6
    moved.rename(data)
    (data / held_out[4]).unlink()
    process = resnext("evaluate", run, data)
    assert refusal(process) == (
        f"1 of the 6 images that the training held out are gone, the first of them {data / held_out[4]}; "
        "put them back, or pass a folder that the run was not trained on"
    )
    moved = data.rename(tmp_path / "moved")
    assert f"the first of them {moved / held_out[4]}" in refusal(resnext("evaluate", run, moved))
    write_photos(moved / "test", COLOURS, 3)
    for name in COLOURS:
        (moved / name).rename(moved / "test" / f"of-{name}")
    shutil.rmtree(moved / "test" / "of-red")
    assert "classes that training has not" in refusal(resnext("evaluate", run, moved))  # test/ as it is now
    moved.rename(data)
    (run / "held-out.json").write_text('["red/000.png", 1]')
    assert "held-out.json: damaged, or written by another version of resnext (not a list" in refusal(
        resnext("evaluate", run, data)
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


def test_validation_chooses_the_best_and_test_is_left_for_the_end(tmp_path, monkeypatch):
    data, run = tmp_path / "photos", tmp_path / "run"
    for part, images in (("train", 8), ("val", 2), ("test", 3)):
        write_photos(data / part, COLOURS, images)
    accuracies = iter([0.0, 1.0, 0.0])

    def prescribed(engine, examples, *arguments):
        """On the validation images, as the epochs are to turn out; on the test images, as they are."""
        evaluation = evaluate_examples(engine, examples, *arguments)
        if len(examples) != 6:
            return evaluation
        right = examples.labels[:, None] == np.arange(3)
        certain = np.log(np.where(right, 0.98, 0.01) if next(accuracies) else np.where(right, 0.02, 0.49))
        return Evaluation.of(evaluation.classes, evaluation.labels, [certain])

    monkeypatch.setattr("resnext.training.session.evaluate_examples", prescribed)
    kept = []
    save = Saving.save
    monkeypatch.setattr(Saving, "save", lambda *arguments: kept.append(arguments[-1]) or save(*arguments))
    trained = train(data, TINY, run, recipe=dataclasses.replace(QUICK, epochs=3))
    assert (trained.best_epoch, trained.best_validation_accuracy) == (2, 1.0)
    assert (run / "best.safetensors").read_bytes() == kept[1]["best.safetensors"] == kept[1]["last.safetensors"]
    assert (run / "last.safetensors").read_bytes() == kept[2]["last.safetensors"] != kept[1]["last.safetensors"]
    assert "best.safetensors" not in kept[2]
    assert len(trained.test.labels) == 9
    last = evaluate(run, data, weights="last")
    np.testing.assert_allclose(last.losses, trained.test.losses, atol=1e-4)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "float64"])
def test_dtype_is_the_runs(colours, tmp_path, dtype):
    if keras.backend.backend() == "jax" and dtype == "float64":
        with pytest.raises(
            ArgumentError, match="float64 is float32 on JAX unless the environment has JAX_ENABLE_X64=1"
        ):
            train(colours, TINY, tmp_path / "run", recipe=QUICK, dtype=dtype)
        assert not (tmp_path / "run").exists()
        return
    train(colours, TINY, tmp_path / "run", recipe=QUICK, dtype=dtype)
    run = Run.open(tmp_path / "run")
    (classifier,) = Model.open(run.folder).build()
    assert run.config.options.dtype == dtype
    network = next(layer for layer in classifier.layers if isinstance(layer, keras.Model))
    assert network.get_layer("stem_conv").dtype_policy.name == dtype
    assert keras.config.dtype_policy().name == "float32"


def test_divergence_is_one_line(colours, tmp_path):
    process = resnext(
        "train", colours, "--variant", TINY, "--out", tmp_path / "run", "--image-size", 32,
        "--learning-rate", 1e30, "--batch-size", 8,
    )  # fmt: skip
    assert re.fullmatch(
        r"the (validation )?loss is (nan|inf) after step \d+, in epoch \d+: training diverged, and nothing of it is "
        r"saved. Use a lower --learning-rate or another --dtype. Images of this step: (\S+/train/\w+/\d+.png(, )?){8}",
        refusal(process),
    )


def test_divergence_keeps_the_epochs_before(colours, tmp_path, monkeypatch):
    from resnext.errors import TrainingDiverged
    from resnext.inference.evaluate import evaluate_examples

    losses = iter([1, np.nan])

    def diverge(*arguments, **named):
        evaluation = evaluate_examples(*arguments, **named)
        return dataclasses.replace(evaluation, losses=evaluation.losses * next(losses))

    monkeypatch.setattr("resnext.training.session.evaluate_examples", diverge)
    with pytest.raises(TrainingDiverged, match=r"^the validation loss is nan after step 18, in epoch 2: training div"):
        train(colours, TINY, tmp_path / "run", recipe=QUICK)
    monkeypatch.undo()
    with (tmp_path / "run" / "metrics.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert row["epoch"] == "1"
    for weights in ("last", "best"):
        kept = evaluate(tmp_path / "run", colours, weights=weights)
        assert kept.loss == pytest.approx(float(row["validation_loss"]), rel=1e-4)


@pytest.mark.parametrize(
    ("part", "words"),
    [("train", "{}: "), ("val", "1 of 6 images can't be read: {}: "), ("test", "1 of 6 images can't be read: {}: ")],
)
def test_damaged_image_is_named_and_leaves_no_run_behind(tmp_path, part, words):
    """Its header is whole. One that is only for judging is found before the training starts."""
    for name in ("train", "val", "test"):
        write_photos(tmp_path / "photos" / name, COLOURS, 2)
    damaged = tmp_path / "photos" / part / "red" / "000.png"
    damaged.write_bytes(damaged.read_bytes()[:-500])
    with pytest.raises(ValueError, match=re.escape(words.format(damaged))):
        train(tmp_path / "photos", TINY, tmp_path / "deep" / "er" / "run", recipe=QUICK)
    assert not (tmp_path / "deep").exists()


@pytest.mark.once
def test_damaged_image_is_one_line(tmp_path):
    damaged = write_photos(tmp_path / "photos" / "train", COLOURS, 2) / "red" / "000.png"
    write_photos(tmp_path / "photos" / "test", COLOURS, 1)
    damaged.write_bytes(damaged.read_bytes()[:-500])
    process = resnext("train", tmp_path / "photos", "--variant", TINY, "--out", tmp_path / "run",
                      "--image-size", 24)  # fmt: skip
    assert refusal(process).startswith(f"{damaged}: ")


@pytest.mark.once
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--variant", "resnext51_32x4d"], "Unknown variant 'resnext51_32x4d': depth 51 is none of"),
        (["--recipe", "magic"], "unknown recipe 'magic'. The recipes are photos"),
        (["--epochs", "0"], "`epochs` must be a whole number, at least 1. Received: 0"),
        (["--batch-size", "-1"], "`batch_size` must be a whole number, at least 1. Received: -1"),
        (["--learning-rate", "0"], "`learning_rate` must be finite and above 0. Received: 0.0"),
        (["--image-size", "-3"], "`image_size` must be a whole number, at least 1, or None. Received: -3"),
        (["--image-size", "0"], "`image_size` must be a whole number, at least 1, or None. Received: 0"),
        (["--seed", "-1"], "`seed` must be from 0 to 4294967295. Received: -1"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_written(colours, tmp_path, arguments, words):
    defaults = {"--variant": TINY, "--out": str(tmp_path / "run"), arguments[0]: arguments[1]}
    process = resnext("train", colours, *[word for pair in defaults.items() for word in pair])
    assert words in refusal(process)
    assert not (tmp_path / "run").exists()


@pytest.mark.once
def test_unusable_data_is_refused_before_anything_is_written(tmp_path):
    (tmp_path / "empty").mkdir()
    write_photos(tmp_path / "one", {"red": COLOURS["red"]}, 4)
    write_photos(tmp_path / "more" / "train", {name: COLOURS[name] for name in ("red", "green")}, 2)
    write_photos(tmp_path / "more" / "test", COLOURS, 2)
    write_photos(tmp_path / "text", COLOURS, 2)
    (tmp_path / "text" / "red" / "note.jpg").write_text("hello")
    for data, words in {
        "empty": "no images",
        "one": "one class only",
        "more": "blue",
        "text": "note.jpg: not a JPEG",
        "nowhere": "nowhere",
    }.items():
        process = resnext("train", tmp_path / data, "--variant", TINY, "--out", tmp_path / "run")
        assert words in refusal(process)
        assert not (tmp_path / "run").exists()


@pytest.mark.once
def test_wrong_dtype_is_refused(colours, tmp_path):
    with pytest.raises(ValueError, match=r"`dtype` must be one of float32, .* Received: 'int8'"):
        train(colours, TINY, tmp_path / "run", dtype="int8")


@pytest.mark.once
def test_pictures_are_an_extra(colours, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    trained = train(colours, TINY, tmp_path / "run", recipe=QUICK)
    assert trained.plots == (tmp_path / "run" / "report.html",)
    assert trained.plots_missing == "drawing plots needs the package matplotlib: pip install 'resnext[plots]'"


@pytest.mark.once
def test_a_class_name_is_no_formula_and_a_picture_costs_no_result(tmp_path):
    write_photos(tmp_path / "photos", {"a$\\b$": COLOURS["red"], "c": COLOURS["blue"]}, 6)
    quick = dataclasses.replace(QUICK, epochs=1)
    trained = train(tmp_path / "photos", TINY, tmp_path / "run", recipe=quick)
    assert trained.plots_missing is None
    picture = tmp_path / "run" / "confusion-matrix.png"
    assert picture.is_file()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "resnext.pages.plots.draw_learning_curves", lambda *_: (_ for _ in ()).throw(OSError("disk full"))
        )
        trained = train(tmp_path / "photos", TINY, tmp_path / "again", recipe=quick)
    assert (trained.plots, trained.plots_missing) == ((tmp_path / "again" / "report.html",), "disk full")
    assert len(trained.test.labels) == 2


@pytest.mark.once
def test_what_is_not_a_number_is_never_right():
    labels = np.array([0, 1], np.int32)
    assert Evaluation.of(("a", "b"), labels, [np.full((2, 2), np.nan, np.float32)]).top(1) == 0
    assert Evaluation.of(("a", "b"), labels, [np.log(np.array([[0.9, 0.1], [0.2, 0.8]], np.float32))]).top(1) == 1


def losses(folder):
    with (folder / "metrics.csv").open() as file:
        return [float(row["validation_loss"]) for row in csv.DictReader(file)]


def test_fine_tuning_keeps_frozen_stages_and_moves_the_rest(trained, colours, tmp_path):
    folder, _ = trained
    tuned = tmp_path / "tuned"
    process = resnext(
        "train", colours, "--variant", "resnext14_2x4d", "--weights", folder,
        "--recipe", "finetune", "--image-size", 32, "--epochs", 1, "--batch-size", 8, "--learning-rate", 0.001,
        "--out", tuned,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    before, after = load_file(folder / "best.safetensors"), load_file(tuned / "last.safetensors")
    same = {name for name, value in before.items() if np.array_equal(value, after[name])}
    assert {name for name in before if name.startswith(("stem", "stage2"))} <= same
    moved = {name for name in before if name.endswith("kernel") and name.startswith(("stage3", "stage5", "pred"))}
    assert moved
    assert not moved & same
    assert json.loads((tuned / "config.json").read_text())["weights"] == str(folder)
    assert f"\nweights: {folder}\n" in process.stderr
    assert "\nfrozen: stages 1, 2, with statistics; " in process.stderr
    other = resnext("train", colours, "--variant", "resnext26_2x4d", "--weights", folder / "best.safetensors", "--out",
                    tmp_path / "other")  # fmt: skip
    assert "best.safetensors" in refusal(other)
    assert not (tmp_path / "other").exists()


@pytest.mark.once
def test_weights_of_other_colours_are_refused(colours, tmp_path):
    from resnext.images.preprocessing import Preprocessing
    from resnext.model.classifier import image_network
    from resnext.weights.save import save_weights

    network = image_network(TINY, 3, Preprocessing(24, 24, mean=(0.5, 0.5, 0.5)))
    save_weights(network, tmp_path / "other.safetensors")
    with pytest.raises(
        ValueError, match=r"other.safetensors: its images are normalised with mean \(0.5, 0.5, 0.5\) and"
    ):
        train(colours, TINY, tmp_path / "run", recipe=QUICK, weights=tmp_path / "other.safetensors")
    assert not (tmp_path / "run").exists()


def test_the_average_is_judged_and_kept_and_training_goes_on_without_it(colours, tmp_path):
    plain = dataclasses.replace(QUICK, epochs=2)
    for name, recipe in (("plain", plain), ("averaged", dataclasses.replace(plain, ema=0.9))):
        trained = train(colours, TINY, tmp_path / name, recipe=recipe)
        evaluation = evaluate(tmp_path / name, colours, weights="last")
        assert evaluation.loss == pytest.approx(losses(tmp_path / name)[-1], abs=1e-4)
        assert trained.test.loss == pytest.approx(evaluation.loss, abs=1e-4)
    rows = [list(csv.DictReader((tmp_path / name / "metrics.csv").open())) for name in ("plain", "averaged")]
    for one, other in zip(*rows, strict=True):
        assert float(one["train_loss"]) == pytest.approx(float(other["train_loss"]), rel=1e-4)
        assert one["validation_loss"] != other["validation_loss"]


@pytest.mark.once
def test_what_cannot_be_read_is_skipped_when_asked(tmp_path):
    """A number of images, or a share of them; never all of a class."""
    photos = write_photos(tmp_path / "photos" / "train", COLOURS, 10, size=4)
    write_photos(tmp_path / "photos" / "test", COLOURS, 2)
    bad = photos / "red" / "007.png"
    bad.write_bytes(bad.read_bytes()[:60])
    arguments = ["train", photos.parent, "--variant", TINY, "--recipe", "smoke", "--image-size", 8]
    process = resnext(*arguments, "--skip-bad", 1, "--out", tmp_path / "run")
    assert process.returncode == 0, process.stderr
    assert f"skipped: {bad}: " in process.stderr
    (photos / "red" / "008.png").write_bytes(b"")
    other = (*arguments, "--out", tmp_path / "other")
    for limit in (1, 0.05):
        said = refusal(resnext(*other, "--skip-bad", limit))
        assert f"2 of 30 images can't be read, and --skip-bad {limit} leaves out at most 1: {bad}: " in said
    assert "`skip_bad` must be a number of images, or a share below 1" in refusal(resnext(*other, "--skip-bad", -1))
    for path in (photos / "red").iterdir():
        path.write_bytes(b"")
    assert "no image of the class 'red' can be read" in refusal(resnext(*other, "--skip-bad", 0.5))
    assert not (tmp_path / "other").exists()


@pytest.mark.once
def test_whole_images_are_kept_by_the_run_and_whatever_reads_it(tmp_path):
    for place, name in ((0, "left"), (120, "right")):
        (tmp_path / "wide" / name).mkdir(parents=True)
        for i in range(12):
            pixels = np.full((40, 160, 3), 60 + i, np.uint8)
            pixels[:, place : place + 40] = (250, 0, 0)
            Image.fromarray(pixels).save(tmp_path / "wide" / name / f"{i}.png")
    options = ("--variant", TINY, "--image-size", 24, "--epochs", 2, "--out", tmp_path / "run")
    process = resnext("train", tmp_path / "wide", *options, "--fit", "squash")
    assert "long images" not in process.stderr
    run = Run.open(tmp_path / "run")
    assert (run.config.recipe.fit, run.config.preprocessing.fit) == ("squash", "squash")
    said = re.search(r"test top-1 ([\d.]+) %", process.stdout)[1]
    assert f" {said} % (" in resnext("evaluate", run.folder, tmp_path / "wide", "--weights", "last").stdout
    images = sorted((tmp_path / "wide").rglob("0.png"))
    left, right = (dict(each.classes) for each in predict(run.folder, images, weights="last"))
    assert abs(left["left"] - right["left"]) > 1e-3  # a crop of the centre sees the same in both
    assert re.search(r"images +24 pixels, resized to 24, squash\n", resnext("info", run.folder).stdout)
    tuned = resnext("train", tmp_path / "wide", "--weights", run.folder, "--epochs", 1, "--seed", 1, "--out",
                    tmp_path / "tuned")  # fmt: skip
    assert "weights: trained with --fit squash, and this is --fit crop\n" in tuned.stderr
    assert re.search(r"weights: trained on [1-4] of the 4 images that are held out now; to hold out", tuned.stderr)


@pytest.mark.once
def test_links_are_followed_when_asked_by_the_run_and_whatever_reads_its_data(colours, tmp_path):
    for part in ("train", "test"):
        (tmp_path / "linked" / part).mkdir(parents=True)
        for folder in (colours / part).iterdir():
            (tmp_path / "linked" / part / folder.name).symlink_to(folder)
    arguments = ["train", tmp_path / "linked", "--variant", TINY, "--recipe", "smoke", "--image-size", 8]
    assert "pass --follow-links to read it" in refusal(resnext(*arguments, "--out", tmp_path / "run"))
    assert resnext(*arguments, "--follow-links", "--out", tmp_path / "run").returncode == 0
    (tmp_path / "run" / "report.html").unlink()
    assert resnext("train", "--resume", tmp_path / "run").returncode == 0
    assert resnext("evaluate", tmp_path / "run", tmp_path / "linked").returncode == 0
    assert resnext("check-data", tmp_path / "linked", "--follow-links").returncode == 0


@pytest.mark.once
def test_an_archive_is_trained_and_judged_on_as_its_folder_is(colours, tmp_path):
    archive = shutil.make_archive(str(tmp_path / "colours"), "gztar", colours)
    for data, out in ((colours, "folder"), (archive, "archive")):
        train(data, TINY, tmp_path / out, recipe=dataclasses.replace(QUICK, epochs=1))
    assert (tmp_path / "folder" / "metrics.csv").read_text() == (tmp_path / "archive" / "metrics.csv").read_text()
    process = resnext("evaluate", tmp_path / "archive", archive, "--weights", "last")
    assert process.stdout == resnext("evaluate", tmp_path / "folder", colours, "--weights", "last").stdout


@pytest.mark.once
def test_workers_change_nothing(colours, tmp_path):
    for workers in (0, 3):
        recipe = dataclasses.replace(QUICK, epochs=1, crop="resized", mixup=0.2)
        train(colours, TINY, tmp_path / str(workers), recipe=recipe, workers=workers)
    assert (tmp_path / "0" / "metrics.csv").read_text() == (tmp_path / "3" / "metrics.csv").read_text()
    said = refusal(resnext("train", colours, "--variant", TINY, "--workers", -1, "--out", tmp_path / "run"))
    assert said == "`workers` must be at least 0. Received: -1"


@pytest.mark.once
def test_a_start_that_can_learn_nothing_is_refused(colours, tmp_path):
    process = resnext("train", colours, "--variant", TINY, "--out", tmp_path / "run", "--recipe", "finetune")
    assert refusal(process) == (
        "`freeze` keeps stages as they were loaded, and no weights are loaded: pass `weights`. Received: freeze (1, 2)"
    )
    variant = dataclasses.replace(get_variant("resnext14_2x4d"), shortcut="none")
    with pytest.raises(
        ValueError, match=r"^`zero_gamma` must be False without shortcuts: every block would start, and stay"
    ):
        train(colours, variant, tmp_path / "run", recipe=dataclasses.replace(QUICK, zero_gamma=True))
    assert not (tmp_path / "run").exists()


@pytest.mark.once
def test_a_run_beside_data_of_a_word_is_no_run_inside_it(tmp_path, monkeypatch):
    """The word `digits` is no folder, also where there is one of its name."""
    pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    tiny = dataclasses.replace(QUICK, image_size=8, epochs=1, batch_size=512)
    assert train("digits", "resnext11_2x4d", "digits/run", recipe=tiny).folder == Path("digits/run")
