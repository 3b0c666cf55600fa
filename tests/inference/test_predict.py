"""`predict` and `resnext predict`: order, bad images, thresholds, calibration, memory."""

import re
import shutil
from functools import partial

import numpy as np
import pytest
from PIL import Image

from resnext import evaluate, predict
from resnext.inference.model import Model
from resnext.inference.options import PredictionOptions
from resnext.inference.predict import BATCH_SIZE
from support.command import answers, refusal, resnext
from support.runs import change_records, records_of


@pytest.mark.once
def test_probabilities_are_calibrated_by_the_temperature_of_the_run(trained, colours, tmp_path):
    shutil.copytree(trained[0], tmp_path / "run")
    folder = tmp_path / "run"
    change_records(folder, [{**row, "temperature": 1.7} for row in records_of(folder)])
    model = Model.open(folder)
    plain, calibrated = (
        next(predict(folder, colours / "test", options=PredictionOptions(top=3, calibrated=each))).classes
        for each in (False, True)
    )
    scaled = np.array([share for _, share in plain]) ** (1 / model.temperature)
    np.testing.assert_allclose([share for _, share in calibrated], scaled / scaled.sum(), atol=1e-4)
    assert " % at the temperature of the run, 1.700" in resnext("evaluate", folder, colours).stdout


@pytest.mark.once
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


@pytest.mark.once
def test_below_the_threshold_the_answer_is_unknown(trained, colours):
    folder, _ = trained
    image = colours / "test" / "red" / "001.png"
    (sure,) = predict(folder, image)
    (unsure,) = predict(folder, image, options=PredictionOptions(threshold=1.0))
    assert (sure.answer, unsure.answer) == ("red", "unknown")
    assert dict(unsure.classes) == pytest.approx(dict(sure.classes), rel=1e-4)
    process = resnext("predict", folder, image, "--threshold", 1, "--format", "csv", "--top", 1)
    head, row = process.stdout.splitlines()
    assert head == "image,answer,class_1,probability_1,error"
    assert row.startswith(f"{image},unknown,red,0.")
    assert "  unknown  " in resnext("predict", folder, image, "--threshold", 1).stdout
    message = "`threshold` must be above 0 and at most 1. Received: 2.0"
    assert refusal(resnext("predict", folder, image, "--threshold", 2)) == message


@pytest.mark.once
def test_calibration_needs_a_temperature(weights, colours):
    assert refusal(resnext("predict", weights, colours, "--calibrated")) == (
        f"{weights}: has no temperature to calibrate by; only a single run has one. Leave --calibrated out."
    )


@pytest.mark.once
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
