"""A trained network in use: the one door, evaluate and predict, against scikit-learn, SciPy and numbers by hand."""

import csv
import dataclasses
import json
import shutil
import signal
import tarfile
import time
import zipfile
from functools import partial

import numpy as np
import pytest
from commands import Command
from conftest import COLOURS, refusal, resnext, write_photos
from PIL import Image

from resnext import ResNeXt, evaluate, predict, save_weights
from resnext.data.examples import Examples
from resnext.errors import ArgumentError, WeightsError
from resnext.images.preprocessing import Preprocessing
from resnext.images.views import Views
from resnext.inference.batch_predictor import BatchPredictor
from resnext.inference.evaluate import Evaluated
from resnext.inference.evaluation_files import published
from resnext.inference.model import Model
from resnext.inference.options import EvaluationOptions, PredictionOptions, at_size
from resnext.metrics.calibration import BINS, TEMPERATURES, calibration_error, reliability
from resnext.metrics.evaluation import Evaluation
from resnext.metrics.side_by_side import side_by_side
from resnext.weights.published import Accuracy, PublishedWeights, default_weights

pytestmark = pytest.mark.once


def some_evaluation(images=500, classes=7, seed=0, temperature=1.0, sharpness=1.0):
    """An evaluation of random logits that know something of the labels, and its probabilities."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes - 1, images).astype(np.int32)  # the last class has no images
    logits = rng.normal(size=(images, classes)) + 1.5 * np.eye(classes)[labels]
    probabilities = np.exp(sharpness * logits)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    rows = np.log(probabilities).astype(np.float32)
    names = tuple(f"class {i}" for i in range(classes))
    return Evaluation.of(names, labels, np.array_split(rows, 3), temperature), probabilities


def test_metrics_are_scikit_learns():
    metrics = pytest.importorskip("sklearn.metrics")
    given, probabilities = some_evaluation()
    predicted = probabilities.argmax(axis=1)
    f1 = metrics.f1_score(given.labels, predicted, average="macro")
    assert given.metrics() == pytest.approx(
        {
            "top1": metrics.accuracy_score(given.labels, predicted),
            "top5": metrics.top_k_accuracy_score(given.labels, probabilities, k=5, labels=range(7)),
            "macro_f1": f1,
            "balanced_accuracy": metrics.recall_score(given.labels, predicted, average="macro", labels=range(6)),
            "log_loss": metrics.log_loss(given.labels, probabilities, labels=range(7)),
            "ece": given.metrics()["ece"],
        },
        abs=1e-6,
    )
    expected = metrics.precision_recall_fscore_support(given.labels, predicted, labels=range(7), zero_division=0)
    rows = [(row.precision, row.recall, row.f1, row.images) for row in given.class_metrics()]
    np.testing.assert_allclose(rows, np.transpose(expected), atol=1e-12)
    assert (given.confusion == metrics.confusion_matrix(given.labels, predicted, labels=range(7))).all()


def test_calibration_error_is_the_papers():
    """Guo et al. 2017, equation 3, by hand: fifteen bins, each closed above."""
    given, _ = some_evaluation(sharpness=2.0)
    right = given.predicted == given.labels
    expected = 0.0
    for i in range(BINS):
        inside = (given.probabilities > i / BINS) & (given.probabilities <= (i + 1) / BINS)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - given.probabilities[inside].mean())
    assert given.metrics()["ece"] == pytest.approx(expected, abs=1e-6)
    assert sum(each.images for each in reliability(given.probabilities, right)) == 500
    assert calibration_error(np.array([1.0, 1.0]), np.array([True, True])) == 0
    rows = [np.log([[0.9, 0.1], [0.2, 0.8]])]
    assert Evaluation.of(("a", "b"), np.array([0, 1]), rows).temperature == 1  # all right: nothing to calibrate by


@pytest.mark.parametrize("sharpness", [0.4, 1.0, 3.0])
def test_temperature_minimises_the_loss(sharpness):
    given, probabilities = some_evaluation(sharpness=sharpness)
    rows = np.log(probabilities)

    def loss(temperature):
        scaled = rows / temperature
        return float(np.mean(np.log(np.exp(scaled).sum(axis=1)) - scaled[np.arange(500), given.labels]))

    tried = np.geomspace(0.15, 7, 4001)
    assert given.temperature == pytest.approx(tried[np.argmin([loss(each) for each in tried])], rel=3e-3)
    assert given.losses_by_temperature == pytest.approx([loss(each) for each in TEMPERATURES], rel=1e-5)
    calibrated, _ = some_evaluation(sharpness=sharpness, temperature=given.temperature)
    scaled = np.exp(rows / given.temperature)
    assert calibrated.calibrated == pytest.approx((scaled / scaled.sum(axis=1, keepdims=True)).max(axis=1), abs=1e-5)
    assert (calibrated.probabilities == given.probabilities).all()


def test_intervals_hold_the_truth_as_often_as_they_say():
    """Of 100 samples of 200 images from a network that is right in 70 %, about 95 intervals hold 70 %."""
    held = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        labels = np.zeros(200, np.int32)
        right = rng.random(200) < 0.7
        rows = np.log(np.where(right[:, None], [0.9, 0.1], [0.1, 0.9]))
        low, high = Evaluation.of(("a", "b"), labels, [rows]).intervals(resamples=200)["top1"]
        held += low <= 0.7 <= high
    assert 88 <= held <= 99


def test_two_models_are_compared_as_scipy_does():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    for chance in (0.5, 0.7, 0.9):
        first, second = rng.random(400) < chance, rng.random(400) < 0.6
        table = side_by_side(first, second)
        assert sum(table[:4]) == 400
        only = table.only_first, table.only_second
        assert only == ((first & ~second).sum(), (~first & second).sum())
        assert table.p == pytest.approx(stats.binomtest(only[0], sum(only)).pvalue, rel=1e-6)
    assert side_by_side(first, first).p == 1
    with pytest.raises(ArgumentError, match=r"both models must be evaluated on the same images. Received: 400, 3"):
        side_by_side(first, first[:3])


def test_ten_crops_are_those_of_the_torch_code():
    """Centre, four corners, and their mirror images, of the image whose shorter side is resized."""
    image = np.arange(12 * 16 * 3, dtype=np.uint8).reshape(12, 16, 3)
    views = Views(Preprocessing(8, 12), crops=10).apply(image)
    corners = [image[2:10, 4:12], image[:8, :8], image[:8, 8:], image[4:, :8], image[4:, 8:]]
    expected = [*corners, *(corner[:, ::-1] for corner in corners)]
    assert (views == np.stack(expected)).all()
    two = Views(Preprocessing(8, 12), flip=True).apply(image)
    assert (two == np.stack([expected[0], expected[5]])).all()
    with pytest.raises(ArgumentError, match=r"`crops` must be 1 or 10. Received: 5"):
        Views(Preprocessing(8, 12), crops=5)


def test_size_and_crop_change_the_preprocessing():
    own = Preprocessing(224, 256, "bicubic")
    assert at_size(own, None, None, None) == own
    assert at_size(own, 320, 1.0, None) == Preprocessing(320, 320, "bicubic")
    assert at_size(own, 288, None, "bilinear") == Preprocessing(288, 329, "bilinear")
    assert at_size(own, None, 0.95, None).resize == 236
    with pytest.raises(ArgumentError, match=r"`crop` must be above 0 and at most 1. Received: 1.5"):
        at_size(own, None, 1.5, None)


def logits_by_hand(run, images, preprocessing):
    (network,) = Model.open(run).build([preprocessing])
    return network.predict_on_batch(np.stack(images))


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


def test_results_as_json_csv_and_a_page(trained, colours, tmp_path):
    folder, _ = trained
    process = resnext("evaluate", folder, colours, "--format", "json", "--out", tmp_path / "out")
    assert process.returncode == 0, process.stderr
    document, given = json.loads(process.stdout), evaluate(folder, colours)
    assert {name: entry["value"] for name, entry in document["metrics"].items()} == pytest.approx(given.metrics())
    assert all(
        low <= entry["value"] <= high for entry in document["metrics"].values() for low, high in [entry["interval"]]
    )
    assert document["calibration"]["temperature"] == Model.open(folder).temperature
    assert document["images"] == 12
    assert [row["name"] for row in document["classes"]] == ["blue", "green", "red"]
    assert sum(row["images"] for row in document["confusions"]) == (given.predicted != given.labels).sum()
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text()) == document
    names = {"evaluation.json", "metrics.csv", "predictions.csv", "confusion-matrix.png", "class-accuracy.png",
             "reliability.png", "worst-mistakes.png", "index.html"}  # fmt: skip
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    assert f"written: {tmp_path / 'out' / 'index.html'}" in process.stderr
    with (tmp_path / "out" / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["predicted"] for row in rows] == [given.classes[i] for i in given.predicted]
    assert [row["image"] for row in rows] == [str(path) for path in sorted((colours / "test").glob("*/*.png"))]
    table = resnext("evaluate", folder, colours, "--format", "csv").stdout
    assert table == (tmp_path / "out" / "metrics.csv").read_text()
    assert table.startswith("metric,class,value,low,high\ntop1,,")
    page = (tmp_path / "out" / "index.html").read_text()
    assert page.count("<img alt=") == 4
    assert "recall (%)" in page
    assert refusal(resnext("evaluate", folder, colours, "--out", tmp_path)) == (
        f"{tmp_path}: holds other files. Pass a new or an empty folder as --out."
    )


def test_published_numbers_stand_beside_ours(weights):
    """Where the images are seen as they were for the published numbers."""
    model = Model.open(str(weights))
    accuracies = (Accuracy(Preprocessing(64, 72), 70.0, 90.0), Accuracy(model.preprocessing, 71.5, 91.25))
    known = PublishedWeights("resnext14_2x4d.some_in1k", "mit", 1000, accuracies, None)
    model = dataclasses.replace(model, published=known)
    labels = np.arange(1000, dtype=np.int32)
    evaluation = Evaluation.of(model.classes, labels, [np.log(np.full((1000, 1000), 1e-3, np.float32))])

    def shown(evaluation, **options):
        views = EvaluationOptions(**options).views(model.preprocessing)
        return published(model, Evaluated(evaluation, Examples([], labels, model.classes), views, "keras"))

    assert shown(evaluation) == {"top1": 71.5, "top5": 91.25}
    assert shown(evaluation, size=(64,), interpolation="bilinear") == {"top1": 70.0, "top5": 90.0}
    assert shown(evaluation, flip=True) is None
    assert shown(evaluation._take(np.arange(500))) is None  # other data
    with pytest.raises(ArgumentError, match=r"`size` must be a number of pixels, or several\. Received: '64'"):
        shown(evaluation, size="64")
    with pytest.raises(
        ArgumentError, match=r"`size` must be at least 1, and size / crop at most 8,000\. Received: size=0"
    ):
        shown(evaluation, size=(0,))


def test_models_that_cannot_be_compared_are_refused_before_they_are_evaluated(trained, weights, colours, tmp_path):
    folder, _ = trained
    assert refusal(resnext("evaluate", folder, colours, "--against", weights, "--out", tmp_path / "out")) == (
        f"{folder} and {weights} have different classes. Pass models of the same classes."
    )
    assert not (tmp_path / "out").exists()
    shutil.copytree(folder, tmp_path / "other")
    held_out = [path.relative_to(colours / "train").as_posix() for path in (colours / "train").glob("red/*.png")]
    (tmp_path / "other" / "held-out.json").write_text(json.dumps(held_out))
    message = "held out different images of this data. Pass images that neither was trained on."
    assert message in refusal(resnext("evaluate", folder, colours / "train", "--against", tmp_path / "other"))
    assert "can't be made (" in refusal(resnext("evaluate", folder, colours, "--out", "/proc/nothing"))


def test_a_second_model_on_the_same_images(trained, colours):
    folder, _ = trained
    process = resnext("evaluate", folder, colours, "--against", folder)
    best = evaluate(folder, colours)
    right = int((best.predicted == best.labels).sum())
    assert (
        f"both right {right}, only the first 0, only the second 0, neither {12 - right}; McNemar's exact test: p = 1"
        in (process.stdout)
    )


def test_probabilities_are_calibrated_by_the_temperature_of_the_run(trained, colours, tmp_path):
    shutil.copytree(trained[0], tmp_path / "run")
    folder, records = tmp_path / "run", tmp_path / "run" / "metrics.jsonl"
    rows = [{**json.loads(line), "temperature": 1.7} for line in records.read_text().splitlines()]
    records.write_text("".join(json.dumps(row) + "\n" for row in rows))
    model = Model.open(folder)
    plain, calibrated = (
        next(predict(folder, colours / "test", options=PredictionOptions(top=3, calibrated=each))).classes
        for each in (False, True)
    )
    scaled = np.array([share for _, share in plain]) ** (1 / model.temperature)
    np.testing.assert_allclose([share for _, share in calibrated], scaled / scaled.sum(), atol=1e-4)
    assert " % at the temperature of the run, 1.700" in resnext("evaluate", folder, colours).stdout


# The door


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file with the weights of a network of ImageNet's classes."""
    path = tmp_path_factory.mktemp("weights") / "network.safetensors"
    network = ResNeXt("resnext14_2x4d", input_shape=(32, 32, 3), classes=1000)
    network.preprocessing = Preprocessing(32, 36, "bicubic")
    save_weights(network, path)
    return path


def test_a_file_of_weights_is_a_model(weights, tmp_path):
    model = Model.open(str(weights))
    assert (model.variant.name, model.preprocessing) == ("resnext14_2x4d", Preprocessing(32, 36, "bicubic"))
    assert (model.classes[0], model.wordnet_ids[0]) == ("tench", "n01440764")
    named = Model.open("resnext14_2x4d", str(weights))
    assert (named.variant, named.classes) == (model.variant, model.classes)
    for folder, name in (("ids", "n01440764"), ("names", "tench"), ("numbers", "0")):  # ImageNet, photos, ImageNet-V2
        write_photos(tmp_path / folder, {name: (1, 2, 3)}, 2, size=40)
        given = evaluate(str(weights), tmp_path / folder)
        assert (given.labels.tolist(), given.classes[0]) == ([0, 0], "tench")
    write_photos(tmp_path / "other", {"tenc": (1, 2, 3)}, 2)
    with pytest.raises(ValueError, match=r"has classes that training has not seen: 'tenc' \(did you mean 'tench'\?\)"):
        evaluate(str(weights), tmp_path / "other")
    process = resnext("predict", weights, tmp_path / "ids", "--top", 1)
    assert process.returncode == 0, process.stderr


def test_class_names_travel_with_the_weights(trained, colours, tmp_path):
    folder, _ = trained
    assert resnext("convert", folder, "--out", tmp_path / "a.safetensors").returncode == 0
    assert Model.open(tmp_path / "a.safetensors").classes == ("blue", "green", "red")
    one, other = (evaluate(model, colours) for model in (folder, tmp_path / "a.safetensors"))
    np.testing.assert_allclose(one.losses, other.losses, atol=1e-5)


def test_what_is_no_model_is_refused(trained, weights, tmp_path):
    folder, _ = trained
    allowed = (
        "Pass a run folder, a file of weights, an exported file or folder, hf:OWNER/NAME, or the tag of published "
        "weights (resnext list --weights)."
    )
    assert refusal(resnext("predict", "resnxt50_32x4d", "x.png")) == (
        f"resnxt50_32x4d: no such model. Did you mean resnext50_32x4d? {allowed}"
    )
    tag = default_weights("resnext50_32x4d")
    assert refusal(resnext("predict", "resnext50_32x4d", "x.png")) == (
        f"resnext50_32x4d: a network without weights. Pass --weights FILE, hf:OWNER/NAME or a tag, such as {tag}."
    )
    assert refusal(resnext("predict", weights, "x.png", "--weights", "last")) == (
        f"{weights}: not a run folder, and only a run has last weights. {allowed}"
    )
    assert refusal(resnext("predict", folder, "x.png", "--weights", "third")) == (
        "`weights` must be one of best, last. Received: 'third'"
    )
    headless = tmp_path / "headless.safetensors"
    save_weights(ResNeXt("resnext14_2x4d", include_top=False), headless)
    with pytest.raises(WeightsError, match=r"has no head, so it tells no classes apart. Pass weights with a head\."):
        Model.open(headless)


# Predictions


def answers(text):
    return [(row["image"], row["class"], row["error"]) for row in map(json.loads, text.splitlines())]


def test_folders_patterns_archives_and_lists_are_read_in_order(trained, colours, tmp_path):
    folder, _ = trained
    write_photos(tmp_path / "photos", {"b": COLOURS["red"], "a": COLOURS["blue"]}, 2)
    root = tmp_path / "photos"
    (root / "notes.txt").write_text("no image")
    (root / "a" / "@eaDir").mkdir()
    (root / "a" / "@eaDir" / "0.png").write_bytes((root / "a" / "000.png").read_bytes())
    (root / "a" / "loop").symlink_to(root)
    files = sorted(root.glob("[ab]/*.png"))
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as archive:
        for file in reversed(files):
            archive.add(file, file.name + file.parent.name + ".png")
        archive.add(root / "notes.txt", "notes.md")
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.write(files[0], "in/0.png")
    names = [*map(str, files)]
    inside = [f"{tmp_path}/x.tar.gz/{file.name}{file.parent.name}.png" for file in reversed(files)]
    process = resnext(
        "predict", folder, root, f"{root}/b/*.png", tmp_path / "x.tar.gz", tmp_path / "x.zip", "--format", "jsonl"
    )
    assert process.returncode == 0, process.stderr
    rows = answers(process.stdout)
    assert [row[0] for row in rows] == [*names, *names[2:], *inside, f"{tmp_path}/x.zip/in/0.png"]
    assert [row[1] for row in rows[:4]] == ["blue", "blue", "red", "red"]
    assert "left out: 1 links to folders, 1 .txt, 1 .md" in process.stderr
    assert f"{len(rows)} images in" in process.stderr


def test_a_list_on_standard_input(trained, colours, monkeypatch):
    import io
    import sys

    folder, _ = trained
    files = [str(path) for path in sorted((colours / "test").glob("*/*.png"))]
    for text in ("\n".join(files), "\r\n".join(files) + "\r\n", "\0".join(files) + "\0"):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        assert [each.image for each in predict(folder, "-")] == files


def test_a_bad_image_is_a_row_and_the_status_says_so(trained, colours, tmp_path):
    folder, _ = trained
    good, bad = colours / "test" / "red" / "001.png", tmp_path / "bad.jpg"
    bad.write_text("not an image")
    missing = tmp_path / "nope.jpg"
    process = resnext("predict", folder, good, bad, missing, good, "--format", "jsonl")
    assert answers(process.stdout) == [
        (str(good), "red", None),
        (str(bad), None, "not a JPEG, PNG, WEBP, BMP, GIF, TIFF, AVIF, PPM or HEIF image"),
        (str(missing), None, "No such file or directory"),
        (str(good), "red", None),
    ]
    assert process.returncode == 1
    assert process.stderr.splitlines()[-1] == "resnext: 2 of 4 images can't be read; their rows say why"
    table = resnext("predict", folder, bad, good).stdout.splitlines()
    assert table[0].startswith(f"{bad}  ")
    assert table[0].endswith("error: not a JPEG, PNG, WEBP, BMP, GIF, TIFF, AVIF, PPM or HEIF image")
    assert refusal(resnext("predict", folder, missing)) == (
        f"{missing}: does not exist. Pass image files, folders, patterns or archives."
    )
    assert refusal(resnext("predict", folder)) == (
        "no image was passed. Pass image files, folders, patterns, archives, or - for a list."
    )
    pattern = f"{tmp_path}/*.webp"
    (row,) = answers(resnext("predict", folder, pattern, "--format", "jsonl").stdout)
    assert row == (pattern, None, "no file matches this pattern")


def test_below_the_threshold_the_answer_is_unknown(trained, colours):
    folder, _ = trained
    image = colours / "test" / "red" / "001.png"
    (sure,) = predict(folder, image)
    (unsure,) = predict(folder, image, options=PredictionOptions(threshold=1.0))
    assert (sure.answer, unsure.answer, unsure.classes) == ("red", "unknown", sure.classes)
    process = resnext("predict", folder, image, "--threshold", 1, "--format", "csv", "--top", 1)
    head, row = process.stdout.splitlines()
    assert head == "image,answer,class_1,probability_1,error"
    assert row.startswith(f"{image},unknown,red,0.")
    assert "  unknown  " in resnext("predict", folder, image, "--threshold", 1).stdout
    message = "`threshold` must be above 0 and at most 1. Received: 2.0"
    assert refusal(resnext("predict", folder, image, "--threshold", 2)) == message


def test_calibration_needs_a_temperature(weights, colours):
    assert refusal(resnext("predict", weights, colours, "--calibrated")) == (
        f"{weights}: has no temperature to calibrate by; only runs have one. Leave --calibrated out."
    )


def test_predictions_and_embeddings_in_files(trained, colours, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    folder, _ = trained
    arguments = ("predict", folder, colours / "test", "--top", 2)
    for name in ("a.jsonl", "a.csv", "a.parquet", "a.txt"):
        process = resnext(*arguments, "--out", tmp_path / name, "--embeddings", tmp_path / f"{name}.npy")
        assert (process.returncode, process.stdout) == (0, ""), process.stderr
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    with (tmp_path / "a.csv").open() as file:
        texts = list(csv.DictReader(file))
    table = parquet.read_table(tmp_path / "a.parquet").to_pylist()
    for row, text, entry in zip(rows, texts, table, strict=True):
        assert row["image"] == text["image"] == entry["image"]
        assert row["class"] == text["answer"] == entry["answer"] == entry["class_1"]
        assert row["classes"][1]["class"] == text["class_2"] == entry["class_2"]
        assert row["classes"][1]["probability"] == pytest.approx(entry["probability_2"])
    resnext(*arguments, "--embeddings", tmp_path / "e.parquet")
    entries = parquet.read_table(tmp_path / "e.parquet").to_pylist()
    array = np.load(tmp_path / "a.csv.npy")
    assert array.shape == (12, 2048)
    np.testing.assert_allclose(array, [entry["embedding"] for entry in entries], rtol=1e-4, atol=1e-4)
    assert [entry["image"] for entry in entries] == [row["image"] for row in rows]
    assert [line.split(",")[0] for line in (tmp_path / "a.csv.csv").read_text().splitlines()[1:]] == [
        row["image"] for row in rows
    ]
    (given,) = predict(folder, rows[0]["image"], options=PredictionOptions(embeddings=True))
    np.testing.assert_allclose(given.embedding, array[0], rtol=1e-4, atol=1e-4)
    assert refusal(resnext(*arguments, "--out", tmp_path / "a.csv")) == (
        f"{tmp_path / 'a.csv'}: exists already. Pass a new file in a folder of yours."
    )
    assert "the suffix names no format" in refusal(resnext(*arguments, "--out", tmp_path / "a.xml"))
    assert "needs a file to write" in refusal(resnext(*arguments, "--format", "parquet"))
    assert "embeddings are written as .npy or .parquet" in refusal(
        resnext(*arguments, "--embeddings", tmp_path / "a.txt")
    )


def test_outputs_are_checked_before_anything_is_computed(trained, colours, tmp_path):
    arguments = ("predict", trained[0], colours / "test")
    same = "predictions and embeddings can't go to the same file, and beside a .npy the names go to a .csv."
    for out, embeddings in (("b.csv", "b.npy"), ("d.parquet", "d.parquet")):
        given = [f"--out={tmp_path / out}", f"--embeddings={tmp_path / embeddings}"]
        assert same in refusal(resnext(*arguments, *given))
    (tmp_path / "e.csv").symlink_to("nowhere")
    assert "e.csv: exists already." in refusal(resnext(*arguments, "--out", tmp_path / "e.csv"))
    assert "its folder does not exist, or can't be written to" in refusal(resnext(*arguments, "--out", "/proc/x/a.csv"))
    assert [path.name for path in tmp_path.iterdir()] == ["e.csv"]


def test_nothing_to_classify_is_an_error(trained, tmp_path):
    (tmp_path / "notes.txt").write_text("no image")
    process = resnext("predict", trained[0], tmp_path)
    assert process.returncode == 1
    assert process.stderr.splitlines() == [
        "resnext: left out: 1 .txt",
        f"resnext: no images in {tmp_path}. Pass images, or folders that have some.",
    ]


def test_rows_end_with_the_classes_and_patterns_name_an_image_once(trained, colours, tmp_path):
    process = resnext("predict", trained[0], f"{colours}/test/**", "--top", 50, "--format", "csv")
    head, *rows = process.stdout.splitlines()
    assert head.count("class_") == 3
    assert len(rows) == 12


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.jsonl"])
def test_rows_are_kept_when_the_process_ends_suddenly(trained, colours, tmp_path, name):
    """Python can't run its own cleaning up while compiled code runs; the rows up to there are in the file."""
    many = [colours / "test" / "red" / "000.png"] * 40
    out, features = tmp_path / name, tmp_path / "b.npy"
    place = ("resnext.engines.keras_engine:KerasEngine.arrays", 3, "deaf")
    command = Command("predict", trained[0], *many, "--out", out, "--embeddings", features, fault=place)
    deadline = time.monotonic() + 60
    while not (features.exists() and features.stat().st_size > 16 * 2048 * 4) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    command.send_signal(signal.SIGINT)
    process = command.wait()
    assert process.returncode == 130, process.stderr
    if name == "a.parquet":
        rows = pytest.importorskip("pyarrow.parquet").read_table(out).num_rows
    else:
        rows = len(out.read_text().splitlines()) - (name == "a.csv")
    assert rows == 32
    assert np.load(features).shape == (32, 2048)


def test_many_images_take_no_more_memory(trained, tmp_path):
    """Rows come while images are read: at no time are more than a few batches waiting."""
    folder, _ = trained
    Image.new("RGB", (8, 8)).save(tmp_path / "0.png")
    taken = []

    def names():
        for i in range(400):
            taken.append(i)
            yield tmp_path / ("0.png" if i != 70 else "bad.png")

    from resnext.data.prediction_inputs import Input, read_ahead
    from resnext.inference.predict import Classifier, read_input

    classifier = Classifier(Model.open(folder), PredictionOptions(top=1))
    items = (Input(str(path), path) for path in names())
    reading = partial(read_input, classifier.model.preprocessing.load)
    errors, most = [], 0
    images = ((item.name, pixels) for item, pixels in read_ahead(items, reading, threads=2, ahead=20))
    for done, row in enumerate(classifier.predict(images), 1):
        most = max(most, len(taken) - done)
        errors += [row.error] if row.error else []
    assert done == 400
    assert most <= 20 + 16 + 1
    assert errors == ["No such file or directory"]


def test_batches_of_columns_for_other_programs(trained, colours):
    """What Ray Data and others hand over: paths, contents of files, or pixels, and what goes with them."""
    folder, _ = trained
    files = sorted((colours / "test").glob("*/*.png"))
    expected = [(each.answer, each.classes[0][1]) for each in predict(folder, files)]
    predictor = BatchPredictor(folder)
    batches = [
        {"path": np.array([str(file) for file in files], object)},
        {"bytes": np.array([file.read_bytes() for file in files], object), "path": np.array(files, object)},
        {"image": np.stack([np.asarray(Image.open(file)) for file in files])},
    ]
    for batch in batches:
        given = predictor({**batch, "id": np.arange(len(files))})
        assert given["id"].tolist() == list(range(len(files)))
        assert given["answer"].tolist() == [answer for answer, _ in expected]
        np.testing.assert_allclose(given["probability"], [share for _, share in expected], atol=1e-4)
        assert given["error"].tolist() == [None] * len(files)
    bad = predictor({"bytes": np.array([b"not an image", files[0].read_bytes()], object)})
    assert bad["answer"].tolist() == [None, expected[0][0]]
    assert bad["error"][0].startswith("not a JPEG, PNG")
    assert np.isnan(bad["probability"][0])
    (reason,) = predictor({"image": np.zeros((1, 8, 8, 1), np.uint8)})["error"]
    assert reason.startswith("got an array of uint8 (8, 8, 1)")
    embeddings = BatchPredictor(folder, options=PredictionOptions(top=1, embeddings=True))(batches[0])["embedding"]
    assert embeddings.shape == (12, 2048)
    with pytest.raises(ArgumentError, match=r"one of the columns path, bytes, image\. Received: id"):
        predictor({"id": np.arange(2)})


@pytest.mark.slow
def test_ray_data_predicts_with_it(trained, colours):
    """Needs the extra `ray`, which is large: skipped where it is not installed."""
    ray = pytest.importorskip("ray")
    folder, _ = trained
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        files = sorted(str(path) for path in (colours / "test").glob("*/*.png"))
        images = ray.data.read_binary_files(str(colours / "test"), include_paths=True)
        rows = images.map_batches(
            BatchPredictor, fn_constructor_args=[str(folder)], batch_size=4, concurrency=1
        ).take_all()
    finally:
        ray.shutdown()
    given = {row["path"]: row["answer"] for row in rows}
    assert sorted(given) == files
    assert given == {each.image: each.answer for each in predict(folder, files)}
