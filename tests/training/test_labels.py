"""Several labels of an image, and soft labels, from the table to a served answer."""

import importlib.util
import json
import logging

import keras
import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import average_precision_score

from resnext import Model, Recipe, evaluate, export, predict, resume, train
from resnext.data.batches import training_batches
from resnext.errors import ArgumentError, DataError, WeightsError
from resnext.images.preprocessing import Preprocessing
from resnext.recipes.complete import complete
from resnext.training.build import LabelsAccuracy
from resnext.training.recorder import Recorder
from support.browser import driven, needs_browser
from support.command import refusal, resnext
from support.photos import COLOURS, load_splits, write_photos
from support.serving import Serving

needs_starlette = pytest.mark.skipif(importlib.util.find_spec("starlette") is None, reason="needs starlette")

CLASSES = ("blue", "green", "red")
SMALL = {"variant": "resnext11_4x4d", "image_size": 24, "epochs": 3, "batch_size": 8}


def write_squares(folder, images=64, split=("train", "train", "train", "test")):
    """Photos with a square of each colour that they are labelled with, and their table."""
    rng = np.random.default_rng(5)
    lines = ["file,labels,split,sample_weight"]
    folder.mkdir(parents=True)
    for i in range(images):
        pixels = rng.integers(90, 150, (24, 24, 3)).astype(np.uint8)
        has = [name for name in COLOURS if rng.random() < 0.4]
        for name in has:
            y, x = rng.integers(0, 16, 2)
            pixels[y : y + 8, x : x + 8] = COLOURS[name]
        Image.fromarray(pixels).save(folder / f"{i:03}.png")
        lines.append(f"{i:03}.png,{';'.join(has)},{split[i % len(split)]},{1 + i % 2}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def squares(tmp_path_factory):
    return write_squares(tmp_path_factory.mktemp("several") / "squares")


@pytest.fixture(scope="module")
def run(squares, tmp_path_factory):
    """A training on several labels: its result."""
    return train(squares, out=tmp_path_factory.mktemp("several") / "run", crop="centre", **SMALL)


def test_a_run_learns_several_labels_and_says_so(run):
    config = json.loads((run.folder / "config.json").read_text())
    assert config["labels"] == "several"
    assert (config["recipe"]["loss"], config["recipe"]["best_by"]) == ("binary", "map")
    rows = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    assert all(len(row["thresholds"]) == 3 for row in rows)
    assert "thresholds" not in (run.folder / "metrics.csv").read_text()
    assert run.history.best.validation_map == max(row["validation_map"] for row in rows)
    evaluation = evaluate(run.folder, weights="last").metrics()  # by the fitted thresholds, as the rows
    assert evaluation["macro_f1"] == pytest.approx(run.history.last.validation_macro_f1, abs=1e-5)
    assert run.test.metrics()["map"] > 1.2 * run.test.baseline
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]
    page = (run.folder / "report.html").read_text()
    for words in (f"{run.test.headline} on 16 test images", "a random order would score", "average precision (%)",
                  "Average precision of each class", "Worst mistakes"):  # fmt: skip
        assert words.lower() in page.lower(), words


def test_evaluation_is_scikit_learns_on_the_predictions(run, squares, tmp_path):
    evaluation = evaluate(run.folder, weights="last")
    rows = [*predict(run.folder, [squares / f"{i:03}.png" for i in range(3, 64, 4)], weights="last")]
    probabilities = np.array([[dict(row.classes)[name] for name in CLASSES] for row in rows])
    wanted = average_precision_score(evaluation.has, probabilities, average="macro")
    assert evaluation.metrics()["map"] == pytest.approx(wanted)
    assert evaluation.metrics() == pytest.approx(run.test.metrics(), abs=1e-5)
    thresholds = Model.open(run.folder, "last").thresholds
    assert thresholds == run.history.last.thresholds
    chosen = [{CLASSES[j] for j in range(3) if row[j] >= thresholds[j]} for row in probabilities]
    assert [{*row.labels} for row in rows] == chosen
    assert all(row.answer == ("; ".join(row.labels) or "none") for row in rows)


@pytest.mark.once
def test_the_threshold_of_the_user_and_the_temperature(run, squares):
    images = [squares / f"{i:03}.png" for i in range(16)]
    all_labels = [*predict(run.folder, images, threshold=1e-6, top=1)]
    assert all({*row.labels} == {*CLASSES} and len(row.classes) == 1 for row in all_labels)
    assert not any(row.labels for row in predict(run.folder, images, threshold=1.0))
    plain, calibrated = ([*predict(run.folder, images, calibrated=value)] for value in (False, True))
    assert [row.labels for row in plain] == [row.labels for row in calibrated]
    temperature = Model.open(run.folder).temperature
    if temperature != 1:
        assert plain[0].classes != calibrated[0].classes


def test_weights_alone_know_that_labels_are_several(run, squares, tmp_path):
    alone = tmp_path / "moved.safetensors"
    alone.write_bytes((run.folder / "best.safetensors").read_bytes())
    model = Model.open(alone)
    assert model.several
    assert model.thresholds == (0.5, 0.5, 0.5)
    ours, theirs = (next(predict(each, squares / "000.png")).classes for each in (run.folder, alone))
    assert ours == theirs
    continued = train(squares, out=tmp_path / "next", weights=str(alone), **SMALL | {"epochs": 1})
    assert continued.test.metrics()["map"] > 0.3


@pytest.mark.once
def test_the_command_says_what_it_reads_and_writes_every_number(run, squares, tmp_path):
    process = resnext("evaluate", run.folder, "--out", tmp_path / "page", "--format", "json", "--by", "split")
    assert process.returncode == 0, process.stderr
    document = json.loads(process.stdout)
    assert document["labels"] == "several"
    assert [*document["metrics"]] == ["map", "micro_f1", "macro_f1", "macro_precision", "macro_recall", "exact_match",
                                      "log_loss"]  # fmt: skip
    assert document["baseline"] == {"map": pytest.approx(run.test.baseline)}
    assert {"average_precision", "threshold"} <= document["classes"][0].keys()
    assert document["by"]["groups"][0]["exact_match"] == document["metrics"]["exact_match"]["value"]
    lines = (tmp_path / "page" / "predictions.csv").read_text("utf-8-sig").splitlines()
    assert lines[0] == "image,labels,predicted,correct,loss,probability of blue,probability of green,probability of red"
    assert len(lines) == 17
    assert "probability of the worst (%)" in (tmp_path / "page" / "index.html").read_text()
    assert "thresholds, so the numbers are a little too good" in (tmp_path / "page" / "index.html").read_text()
    assert "validation mAP " in resnext("info", run.folder).stdout
    assert "mAP " in resnext("compare", run.folder).stdout
    for options in (("--best-by", "top1"), ("--loss", "cross-entropy")):
        assert "is for one label an image" in refusal(resnext("train", squares, "--out", tmp_path / "no", *options))
    text = resnext("evaluate", run.folder, "--against", run.folder).stdout
    for words in ("mAP    ", "all labels right  ", "mAP of a random order", "threshold", "against "):
        assert words in text, words
    rows = resnext("predict", run.folder, squares / "000.png", "--format", "jsonl").stdout
    assert isinstance(json.loads(rows)["labels"], list)
    text = resnext("evaluate", run.folder, "--format", "csv").stdout
    assert "average_precision,blue," in text


@pytest.mark.once
def test_copies_go_to_a_folder_for_each_label(run, squares, tmp_path):
    process = resnext("predict", run.folder, squares, "--threshold", 1e-6, "--copy-to", tmp_path / "sorted")
    assert process.returncode == 0, process.stderr
    assert sorted(folder.name for folder in (tmp_path / "sorted").iterdir()) == [*CLASSES]
    assert all(len([*folder.iterdir()]) == 64 for folder in (tmp_path / "sorted").iterdir())


@pytest.mark.skipif(importlib.util.find_spec("onnxruntime") is None, reason="needs onnxruntime")
def test_an_exported_file_has_sigmoids_and_thresholds(run, squares, tmp_path):
    onnx = pytest.importorskip("onnx")
    export(run.folder, tmp_path / "net.onnx", maps=True)
    proto = onnx.load(tmp_path / "net.onnx")
    assert [node.op_type for node in proto.graph.node if "probabilities" in node.output] == ["Sigmoid"]
    metadata = {
        entry.key: json.loads(entry.value) for entry in proto.metadata_props if entry.key in ("labels", "thresholds")
    }
    assert metadata == {"labels": "several", "thresholds": [*run.history.best.thresholds]}
    images = [squares / f"{i:03}.png" for i in range(8)]
    ours, theirs = ([*predict(model, images)] for model in (run.folder, tmp_path / "net.onnx"))
    assert [row.labels for row in ours] == [row.labels for row in theirs]
    for one, other in zip(ours, theirs, strict=True):
        assert dict(one.classes) == pytest.approx(dict(other.classes), abs=1e-5)
    assert evaluate(tmp_path / "net.onnx", squares).metrics() == pytest.approx(evaluate(run.folder).metrics(), abs=1e-3)
    for entry in proto.metadata_props:
        if entry.key == "thresholds":
            entry.value = "[0.5, 2, 0.5]"
    onnx.save(proto, tmp_path / "wrong.onnx")
    with pytest.raises(WeightsError, match="its description is damaged"):
        Model.open(tmp_path / "wrong.onnx")


def test_an_average_of_two_has_the_mean_of_their_logits(run, squares, tmp_path):
    last = run.folder / "last.safetensors"
    both = next(predict(f"{run.folder}+{last}", squares / "000.png")).classes
    logits = [np.log(t) - np.log1p(-t) for t in map(np.array, (Model.open(run.folder).thresholds, (0.5, 0.5, 0.5)))]
    wanted = 1 / (1 + np.exp(-np.mean(logits, axis=0)))
    assert Model.open(f"{run.folder}+{last}").thresholds == pytest.approx(wanted.tolist(), abs=1e-5)
    logits = [Model.open(each).engines()[0].outputs(np.stack([Preprocessing(24, 24).load(squares / "000.png")])).logits
              for each in (run.folder, last)]  # fmt: skip
    mean = np.mean(logits, axis=0)[0]
    assert dict(both) == pytest.approx(dict(zip(CLASSES, (1 / (1 + np.exp(-mean))).tolist(), strict=True)), abs=1e-5)


def test_a_resumed_training_ends_in_the_same_bytes(run, squares, tmp_path, monkeypatch):
    """The thresholds and the weights of the images are part of what a training resumes with."""
    folder, steps, done = tmp_path / "run", [], Recorder.on_train_batch_end

    def stop_in_the_third_epoch(recorder, *arguments, **logs):
        done(recorder, *arguments, **logs)
        steps.append(recorder.state.step)
        if len(steps) == 15:
            raise RuntimeError("stopped")

    with monkeypatch.context() as patched:
        patched.setattr(Recorder, "on_train_batch_end", stop_in_the_third_epoch)
        with pytest.raises(RuntimeError, match="stopped"):
            train(squares, out=folder, crop="centre", checkpoint_every=2, **SMALL)
    resume(folder)
    assert (folder / "last.safetensors").read_bytes() == (run.folder / "last.safetensors").read_bytes()
    assert (folder / "metrics.csv").read_text() == (run.folder / "metrics.csv").read_text()


@pytest.mark.once
def test_targets_and_weights_of_a_batch(squares):
    examples = load_splits(squares).train
    recipe = complete(Recipe("r", batch_size=8, crop="centre", loss="binary", label_smoothing=0.2, flip=False),
                      images=48, evaluated=16, image_size=24)  # fmt: skip
    images, targets, weights = next(training_batches(examples, recipe, Preprocessing(24, 24), 0, workers=0))
    assert np.unique(targets).tolist() == pytest.approx([0.1, 0.9])
    places = [next(i for i, file in enumerate(examples.images) if np.array_equal(np.asarray(Image.open(file)), image))
              for image in images]  # fmt: skip
    np.testing.assert_allclose(targets, 0.1 + 0.8 * examples.targets(places), atol=1e-6)
    np.testing.assert_allclose(weights, examples.weights[places] / examples.weights.mean(), rtol=1e-6)


@pytest.mark.once
def test_soft_labels_are_targets_and_one_class_is_predicted(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    photos = write_photos(tmp_path / "photos", {"a": COLOURS["red"], "b": COLOURS["blue"]}, 12)
    rows = [f"{name}/{i:03}.png,{share},{1 - share}" for name, share in (("a", 0.75), ("b", 0.125)) for i in range(12)]
    (photos / "labels.csv").write_text("\n".join(["file,a,b", *rows]) + "\n")
    result = train(photos / "labels.csv", out=tmp_path / "run", **SMALL | {"epochs": 1})
    assert "labels: shares of the classes, which sum to 1 for each image" in caplog.messages
    assert json.loads((result.folder / "config.json").read_text())["labels"] == "one"
    assert 0 <= result.test.top(1) <= 1
    examples = load_splits(photos / "labels.csv").train
    recipe = complete(Recipe("r", batch_size=4, crop="centre"), images=20, evaluated=4, image_size=24)
    _, targets = next(training_batches(examples, recipe, Preprocessing(24, 24), 0, workers=0))
    assert {tuple(row) for row in targets.tolist()} <= {(0.75, 0.25), (0.125, 0.875)}


@pytest.mark.once
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"loss": "cross-entropy"},
            "`loss` cross-entropy is for one label an image. Leave it out: several labels have",
        ),
        ({"class_weights": 1.0}, "`class_weights` 1.0 is for one label an image. For rare labels, use `focal` 2 and"),
        ({"sampling": "balanced"}, "`sampling` balanced is for one label an image. For rare labels"),
        ({"best_by": "top1"}, "`best_by` top1 is for one label an image. Several labels are compared by one of map,"),
        ({"recipe": "probe", "weights": "WEIGHTS"}, "a probe fits one class for each image. Choose another recipe"),
    ],
)
def test_what_is_for_one_label_is_refused(run, squares, tmp_path, options, message):
    options = {name: str(run.folder) if value == "WEIGHTS" else value for name, value in options.items()}
    sizes = {} if "recipe" in options else {"epochs": 1}
    with pytest.raises(ArgumentError, match=message):
        train(squares, "resnext11_4x4d", tmp_path / "run", **options, **sizes)
    assert not (tmp_path / "run").exists()


@pytest.mark.once
def test_a_metric_of_several_labels_is_refused_for_one(tmp_path):
    photos = write_photos(tmp_path / "photos", COLOURS, 4)
    with pytest.raises(DataError, match="--best-by map is for several labels an image, and these images have one"):
        train(photos, "resnext11_4x4d", tmp_path / "run", best_by="map")


@pytest.mark.once
def test_a_run_of_several_labels_goes_on_with_one(run, tmp_path):
    """The classes are the same, so that its recipe continues; its metric does not exist any more."""
    photos = write_photos(tmp_path / "photos", COLOURS, 6)
    result = train(photos, out=tmp_path / "run", weights=str(run.folder), epochs=1)
    assert result.history.best_by == "top1"
    assert "several labels" not in refusal(resnext("evaluate", run.folder, tmp_path / "no"))
    assert evaluate(run.folder, photos).has.sum() == 18


@pytest.mark.once
def test_the_accuracy_of_labels_is_the_share_of_right_answers():
    metric = LabelsAccuracy()
    metric.update_state(
        np.array([[1.0, 0, 0.9], [0, 0, 0.4]], "float32"), np.array([[2.0, -1, -3], [-1, 1, -1]], "float32")
    )
    assert float(keras.ops.convert_to_numpy(metric.result())) == pytest.approx(4 / 6)


@needs_starlette
@pytest.mark.once
def test_the_server_answers_with_labels_and_its_page_shows_them(run, squares, tmp_path):
    serving = Serving(f"squares={run.folder}")
    try:
        (row,) = serving.json("GET", "/v1/models")["models"]
        assert row["labels"] == "several"
        engine, images = row["engine"], [squares / f"{i:03}.png" for i in range(6)]
        for file, wanted in zip(images, predict(run.folder, images, engine=engine), strict=True):
            given = serving.json("POST", "/v1/classify?top=1", file.read_bytes())
            assert given["labels"] == [*wanted.labels]
            assert given["classes"][0]["probability"] == pytest.approx(wanted.classes[0][1], abs=1e-6)
    finally:
        serving.end()


@needs_browser
@needs_starlette
@pytest.mark.once
def test_the_page_shows_labels(run, squares, tmp_path):
    serving = Serving(f"squares={run.folder}")
    images = [squares / f"{i:03}.png" for i in range(3)]
    wanted = [row.answer.replace("none", "none of the classes") for row in predict(run.folder, images)]
    try:
        with driven(tmp_path, f"http://127.0.0.1:{serving.port}/") as page:
            page.wait("document.getElementById('facts').textContent.startsWith('squares: ')", True)
            page.choose("#files", images)
            page.wait("[...document.querySelectorAll('.labels:not([hidden])')].map(e => e.textContent)", wanted)
            bold = (
                "[...document.querySelectorAll('.result:first-child .has span:first-of-type')].map(s => s.textContent)"
            )
            assert "; ".join(page.value(bold)) == wanted[0].replace("none of the classes", "")
    finally:
        serving.end()


@pytest.mark.once
def test_folds_of_several_labels_predict_every_image_once(squares, tmp_path):
    text = (squares / "labels.csv").read_text().replace(",split,", ",was,")
    (squares / "all.csv").write_text(text.replace(",train,", ",a,").replace(",test,", ",b,"))
    process = resnext("train", squares / "all.csv", "--variant", "resnext11_4x4d", "--image-size", 24, "--epochs", 1,
                      "--folds", 2, "--out", tmp_path / "folds")  # fmt: skip
    assert process.returncode == 0, process.stderr
    assert "fold 1: test mAP " in process.stdout
    assert "all labels right at 0.5 for " in process.stdout
    rows = (tmp_path / "folds" / "predictions.csv").read_text().splitlines()
    assert rows[0] == "image,labels,predicted,fold,probability of blue,probability of green,probability of red"
    assert len(rows) == 65
    labels = {line.split(",")[0]: line.split(",")[1].split(";") for line in text.splitlines()[1:]}
    for row in rows[1:]:
        name, given, *_ = row.split(",")
        assert sorted(given.replace("none", "").split("; ")) == sorted(labels[name.rsplit("/", 1)[-1]])


def test_a_bundle_keeps_labels_and_thresholds(squares, tmp_path):
    result = train(squares, out=tmp_path / "run", **SMALL | {"variant": "resnext14_2x4d", "epochs": 1})
    export(tmp_path / "run", tmp_path / "bundle", to="bundle")
    model = Model.open(tmp_path / "bundle")
    assert (model.several, model.thresholds) == (True, result.history.best.thresholds)
    images = [squares / "000.png", squares / "001.png"]
    for one, other in zip(*(predict(each, images) for each in (tmp_path / "run", tmp_path / "bundle")), strict=True):
        assert one.labels == other.labels
        assert dict(one.classes) == pytest.approx(dict(other.classes), abs=1e-5)
    card = (tmp_path / "bundle" / "README.md").read_text()
    assert "An image may have any number of them: the probability of each is the sigmoid of its logit" in card
    assert "| mAP of a random order |" in card
