"""The result of an evaluation in files: JSON, CSV and a page."""

import csv
import dataclasses
import json
import re
import shutil

import numpy as np
import pytest

from resnext import evaluate
from resnext.data.examples import Examples
from resnext.errors import ArgumentError
from resnext.images.preprocessing import Preprocessing
from resnext.inference.evaluate import Evaluated
from resnext.inference.evaluation_files import published
from resnext.inference.model import Model
from resnext.inference.options import EvaluationOptions
from resnext.metrics.evaluation import Evaluation
from resnext.metrics.intervals import wilson
from resnext.weights.published import Accuracy, PublishedWeights
from support.command import refusal, resnext

pytestmark = pytest.mark.once


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
    names = {"evaluation.json", "metrics.csv", "predictions.csv", "mistakes.csv", "confusion-matrix.png",
             "class-accuracy.png", "reliability.png", "worst-mistakes.png", "index.html"}  # fmt: skip
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    assert f"written: {tmp_path / 'out' / 'index.html'}" in process.stderr
    assert (tmp_path / "out" / "predictions.csv").read_bytes().startswith(b"\xef\xbb\xbfimage,class,predicted,correct,")
    with (tmp_path / "out" / "predictions.csv").open(encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert [row["correct"] for row in rows] == ["yes" if right else "no" for right in given.right]
    assert all(float(row["loss"]) >= 0 and not row["loss"].startswith("-") for row in rows)
    with (tmp_path / "out" / "mistakes.csv").open(encoding="utf-8-sig") as file:
        wrong = list(csv.DictReader(file))
    assert sorted(row["image"] for row in wrong) == sorted(row["image"] for row in rows if row["correct"] == "no")
    assert [float(row["loss"]) for row in wrong] == sorted((float(row["loss"]) for row in wrong), reverse=True)
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


def test_numbers_say_what_the_network_has_seen(trained, colours, tmp_path):
    """The images that chose the epoch, and those that it was trained on, under whatever name."""
    folder, printed = trained
    remark = "these images also chose the epoch, so the numbers are a little too good"
    assert "(epoch " in printed.stdout
    assert "), on the images that chose it; saved in" in printed.stdout
    assert "always answering 'blue', the largest class, would score 33.33 %" in printed.stdout
    assert "on the images that chose it. Always answering" in (folder / "report.html").read_text()
    process = resnext("evaluate", folder, colours, "--out", tmp_path / "out")
    assert process.stdout.splitlines()[-1] == remark
    assert "always the largest 33.33 % (blue)" in process.stdout
    assert "These images also chose the epoch" in (tmp_path / "out" / "index.html").read_text()
    document = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert (document["chosen_on"], document["trained_on"]) == (True, 0)
    assert document["baseline"] == {"class": "blue", "top1": pytest.approx(1 / 3)}
    last = json.loads(resnext("evaluate", folder, colours, "--weights", "last", "--format", "json").stdout)
    assert (last["chosen_on"], last["trained_on"]) == (False, 0)
    for name, count in (("blue", 8), ("red", 1)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i, file in enumerate(sorted((colours / "train" / name).iterdir())[:count]):
            shutil.copy(file, tmp_path / "photos" / name / f"copy {i}.png")
    known = resnext("evaluate", folder, tmp_path / "photos").stdout.splitlines()
    assert known[-2:] == [
        "it was trained on all of these 9 images, so the numbers are too good",
        "imbalance: 8 images of 'blue', 1 of 'red', 8.0 times fewer",
    ]


def test_accuracy_for_each_value_of_a_column(trained, colours, tmp_path):
    folder, _ = trained
    shutil.copytree(colours / "test", tmp_path / "data")
    files = sorted((tmp_path / "data").glob("*/*.png"))
    cameras = ["old, [b]" if i % 3 else "new" for i in range(len(files))]
    table, pairs = tmp_path / "data" / "labels.csv", list(zip(files, cameras, strict=True))
    rows = [f'{file.parent.name}/{file.name},{file.parent.name},"{camera}"' for file, camera in pairs]
    table.write_text("\n".join(["file,label,Camera", *rows]))
    process = resnext("evaluate", folder, table, "--by", "camera", "--out", tmp_path / "out")
    assert process.returncode == 0, process.stderr
    given = evaluate(folder, table)
    right = dict(zip(files, given.right, strict=True))
    document = json.loads((tmp_path / "out" / "evaluation.json").read_text())["by"]
    assert document["column"] == "camera"
    assert {group["value"]: group["images"] for group in document["groups"]} == {"new": 4, "old, [b]": 8}
    for group in document["groups"]:
        own = [right[file] for file, camera in pairs if camera == group["value"]]
        assert group["top1"] == pytest.approx(np.mean(own))
        assert group["interval"] == pytest.approx(wilson(sum(own), len(own)))
    assert re.search(r"camera +images +top-1 +95 % interval", process.stdout)
    assert re.search(r"old, \[b\] +8 +[\d.]+ % +[\d.]+ to [\d.]+", process.stdout)
    assert "top1_by_camera,new,1" in (tmp_path / "out" / "metrics.csv").read_text().replace("1.0", "1")
    assert "By camera" in (tmp_path / "out" / "index.html").read_text()
    wrong = refusal(resnext("evaluate", folder, table, "--by", "camra"))
    assert wrong.endswith("has no column camra. Did you mean Camera? Its columns are file, label, Camera")
    assert refusal(resnext("evaluate", folder, colours, "--by", "camera")) == (
        f"--by needs a table with the column camera, but {colours} has none"
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
        return published(model, Evaluated(evaluation, Examples([], labels, model.classes), views, "keras", None))

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
