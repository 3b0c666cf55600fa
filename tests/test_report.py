"""What a person looks at: the plots and the page of a run, its log, and TensorBoard's events."""

import csv
import dataclasses
import json
import re
import shutil
import subprocess
import sys
import warnings
from html.parser import HTMLParser
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
from browser import CHROMIUM, QUIET, driven, needs_browser
from conftest import COLOURS, refusal, resnext, write_photos
from PIL import Image

from resnext import evaluate, get_recipe, train
from resnext.metrics.evaluation import Evaluation
from resnext.pages import fonts, plots
from resnext.pages.plots import CLASSES, MISTAKES, draw_class_accuracy, draw_worst_mistakes
from resnext.runs.report import draw_report
from resnext.runs.run import Run

pytestmark = pytest.mark.once

QUICK = dataclasses.replace(get_recipe("smoke"), image_size=24, epochs=2, learning_rate=0.003)
HOSTILE = "<script>alert(1)</script>&amp"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with a class name that is no markup, and few images: some are told wrong."""
    data, folder = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("runs") / "first"
    # A file's name has no slash.
    colours = {HOSTILE.replace("/", "∕"): (120, 100, 90), "a & b": (100, 120, 90), "blue": (40, 40, 200)}
    write_photos(data / "train", colours, 12)
    write_photos(data / "test", colours, 8)
    train(data, "resnext14_2x4d", folder, recipe=QUICK, tensorboard=True)
    return folder


def evaluation(classes, images=40, seed=0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(images, classes))
    log_probabilities = (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)
    names = tuple(f"class {i}" for i in range(classes))
    return Evaluation.of(names, rng.integers(0, classes, images).astype(np.int32), np.array_split(log_probabilities, 3))


def test_temperature_of_an_epoch_is_that_of_its_validation_images(run):
    last = Run.open(run).history.last
    given = evaluate(run, Run.open(run).config.data, weights="last")
    assert given.temperature != 1
    assert last.temperature == pytest.approx(given.temperature, rel=1e-3)


def test_accuracy_of_classes_and_what_they_are_taken_for():
    labels = np.array([0, 0, 0, 0, 1, 1], np.int32)
    predicted = [0, 0, 0, 1, 1, 1]
    given = Evaluation.of(("a", "b", "c"), labels, [np.log(np.eye(3)[predicted] * 0.9 + 0.02)])
    assert [(row.name, row.images, row.recall, row.taken_for) for row in given.class_metrics()] == [
        ("a", 4, 0.75, "b"),
        ("b", 2, 1, None),
    ]
    (mistake,) = given.mistakes()
    assert (mistake.number, mistake.true, mistake.predicted) == (3, "a", "b")
    assert mistake.probability == pytest.approx(0.92, abs=1e-6)


def test_names_in_any_script_are_drawn_or_numbered(tmp_path, caplog):
    """By a font that is there; a name that none can draw is numbered, once said, and no glyph is missing."""
    names = ("Größe", "собака", "قط", "\U00012000\U00012001", "x\U0010fffd", "$cash$")
    labels = np.arange(6, dtype=np.int32)
    given = Evaluation.of(names, labels, [np.log(np.roll(np.eye(6), 1, axis=1) * 0.9 + 0.01)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plots.draw_confusion_matrix(given, tmp_path / "a.png")
        plots.draw_class_accuracy(given, tmp_path / "b.png")
        plots.draw_worst_mistakes(given, lambda index: np.zeros((8, 8, 3), np.uint8), tmp_path / "c.png")
    assert fonts.legible(names)[:3] == list(names[:3])
    assert fonts.legible(names)[4:] == ["class 4", "$cash$"]
    (line,) = caplog.messages
    assert re.fullmatch(
        r"no installed font has all characters of [12] class names \(.*\): the plots show their .*", line
    )


def test_mistakes_come_with_the_highest_loss_first():
    given = evaluation(5)
    losses = [given.losses[mistake.number] for mistake in given.mistakes()]
    assert losses == sorted(losses, reverse=True)
    assert len(losses) == round(40 * (1 - given.top(1)))


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_pictures_of_any_number_of_classes_are_of_a_size_to_look_at(classes, tmp_path):
    given = evaluation(classes, images=3000)
    draw_class_accuracy(given, tmp_path / "classes.png")
    asked = []
    draw_worst_mistakes(given, lambda i: asked.append(i) or np.zeros((8, 8, 3), np.uint8), tmp_path / "mistakes.png")
    assert asked == [mistake.number for mistake in given.mistakes()[:MISTAKES]]
    for name in ("classes.png", "mistakes.png"):
        with Image.open(tmp_path / name) as picture:
            assert min(picture.size) > 100
            assert max(picture.size) < 2500
    assert CLASSES < 1000


def test_thousands_of_classes_take_memory_by_the_images(tmp_path):
    """100,000 images of 10,000 classes, of which nothing as large as images times classes is kept or drawn."""
    import tracemalloc

    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10_000, 100_000).astype(np.int32)
    names = tuple(f"class {i}" for i in range(10_000))
    batch = np.log(rng.dirichlet(np.ones(10_000), 20)).astype(np.float32)
    tracemalloc.start()
    given = Evaluation.of(names, labels, (batch for _ in range(5_000)))
    assert len(given.class_metrics()) == 10_000
    assert len(given.mistakes()) == round(100_000 * (1 - given.top(1)))
    assert 0 < given.top(5) < 0.01
    config = SimpleNamespace(preprocessing=None)
    with (
        mock.patch("resnext.runs.report.write_report") as write,
        mock.patch.multiple(plots, draw_learning_curves=mock.DEFAULT, draw_worst_mistakes=mock.DEFAULT),
    ):
        _, missing = draw_report(tmp_path, config, None, given, None)
    assert missing == "no confusion matrix of more than 1,000 classes"
    assert write.call_args.args[-1] == missing
    assert set(write.call_args.args[4]) == {"Learning curves", "Accuracy of each class", "Worst mistakes"}
    assert tracemalloc.get_traced_memory()[1] < 200e6
    tracemalloc.stop()


def test_no_mistakes_are_a_picture_too(tmp_path):
    perfect = Evaluation.of(("a", "b"), np.array([0, 1], np.int32), [np.log(np.eye(2) * 0.8 + 0.1)])
    draw_worst_mistakes(perfect, lambda i: pytest.fail("asked for an image"), tmp_path / "none.png")
    assert (tmp_path / "none.png").stat().st_size > 1000


class Page(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.said = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.said.append(data.strip())


@pytest.fixture(scope="module")
def evaluated(run):
    """The page of an evaluation of that run."""
    folder = run.parent / "evaluated"
    data = Run.open(run).config.data
    process = resnext("evaluate", run, data, "--out", folder)
    assert process.returncode == 0, process.stderr
    return folder / "index.html"


def checked(text):
    """A page with four pictures that loads nothing and runs nothing."""
    page = Page(text)
    kinds = [tag for tag, _ in page.tags]
    assert "script" not in kinds
    sources = [attrs[key] for _, attrs in page.tags for key in ("src", "href") if key in attrs]
    assert len(sources) == 4
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert all(attrs.get("alt") for tag, attrs in page.tags if tag == "img")
    assert all("scope" in attrs for tag, attrs in page.tags if tag == "th")
    (policy,) = [attrs["content"] for tag, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy"]
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return page


def test_the_page_of_an_evaluation_has_everything_too(evaluated):
    page = checked(evaluated.read_text())
    for words in ("macro F1", "calibration error", "Reliability", "recall (%)", "a & b", HOSTILE.replace("/", "∕")):
        assert any(words in said for said in page.said), words


def test_the_page_has_everything_and_asks_for_nothing(run):
    text = (run / "report.html").read_text()
    page = checked(text)
    for words in ("resnext14_2x4d", "Recipe: smoke", "learning_rate", "0.003", "validation accuracy", "a & b", "blue"):
        assert any(words in said for said in page.said), words
    assert HOSTILE.replace("/", "∕") in page.said
    assert f"resnext evaluate {run}" in "\n".join(page.said)
    assert len(text) < 3_000_000


def chromium(tmp_path, *arguments):
    """Chromium without a network."""
    options = [*QUIET, f"--user-data-dir={tmp_path / 'profile'}"]
    return subprocess.run([CHROMIUM, *options, *arguments], capture_output=True, text=True, timeout=120)


@needs_browser
@pytest.mark.parametrize("width", [400, 1200])
def test_the_page_opens_in_a_browser_without_a_network(run, tmp_path, width):
    picture = tmp_path / "page.png"
    process = chromium(tmp_path, f"--window-size={width},3000", f"--screenshot={picture}", f"file://{run}/report.html")
    assert picture.exists(), process.stderr
    with Image.open(picture) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    assert pixels.shape == (3000, width, 3)
    blue = (pixels[..., 2] - pixels[..., 0] > 60).sum()  # of the curves and the matrix: the plots are shown
    assert blue > 1000
    assert "Refused to" not in process.stderr


@needs_browser
@pytest.mark.parametrize("page", ["report", "evaluation"])
def test_the_browser_shows_names_as_text_and_loads_every_picture(run, evaluated, tmp_path, page):
    with driven(tmp_path, f"file://{run / 'report.html' if page == 'report' else evaluated}") as browser:
        value = browser.value
        assert value("[...document.images].map(image => image.naturalWidth > 100)") == [True] * 4
        assert HOSTILE.replace("/", "∕") in value("[...document.querySelectorAll('td')].map(cell => cell.innerText)")
        assert value("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        loaded = "performance.getEntriesByType('resource').filter(entry => !entry.name.startsWith('data:')).length"
        assert value(loaded) == 0


def test_records_are_the_rows_with_the_time(run):
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    with (run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    for record, row in zip(records, rows, strict=True):
        assert {name: float(value) for name, value in row.items()} == {name: record[name] for name in row}
        assert record.keys() - row.keys() == {"seconds", "images_per_second"}
        assert record["seconds"] > 0


def test_tensorboard_events_hold_the_curves(run):
    pytest.importorskip("tensorboardX")
    from tensorboardX.proto.event_pb2 import Event

    (path,) = (run / "tensorboard").iterdir()
    content, values = path.read_bytes(), {}
    while content:  # length in eight bytes and their checksum in four; the event and its checksum in four
        length = int.from_bytes(content[:8], "little")
        event = Event.FromString(content[12 : 12 + length])
        content = content[16 + length :]
        values |= {(value.tag, event.step): value.simple_value for value in event.summary.value}
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for record in records:
        for tag, name in (("loss/validation", "validation_loss"), ("accuracy/train", "train_accuracy")):
            assert values[tag, record["epoch"]] == pytest.approx(record[name], rel=1e-6)
    assert len(values) == 6 * len(records)


def test_tensorboard_is_an_extra_and_does_not_bring_tensorflow(run, tmp_path, monkeypatch):
    code = "import sys, tensorboardX; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    photos = write_photos(tmp_path / "photos", COLOURS, 6)
    needs = r"^--tensorboard needs the package tensorboardX: pip install 'resnext\[tensorboard\]'$"
    with pytest.raises(ImportError, match=needs):
        train(photos, "resnext14_2x4d", tmp_path / "run", recipe=QUICK, tensorboard=True)
    assert not (tmp_path / "run").exists()


def test_a_log_has_plain_lines_and_says_where_a_long_epoch_is(tmp_path):
    photos = write_photos(tmp_path / "photos", COLOURS, 8)
    arguments = ["train", photos, "--variant", "resnext14_2x4d", "--recipe", "smoke", "--image-size", "16"]
    settings = {"env": {"FORCE_COLOR": ""}, "constants": {"resnext.training.progress:LINE_EVERY": 0}}
    process = resnext(*arguments, "--out", tmp_path / "run", **settings)
    assert process.returncode == 0, process.stderr
    step = r"epoch 1/1  step \d/2  loss [\d.]+  train [\d.]+ %  [\d.]+ images/s"
    assert len(re.findall(rf"^{step}$", process.stderr, re.M)) == 2
    epoch = r"epoch 1/1  loss [\d.]+  train [\d.]+ %  validation [\d.]+ %  [\d.]+ images/s  0:00:00 left"
    assert re.search(rf"^{epoch}$", process.stderr, re.M), process.stderr
    assert "\x1b" not in process.stderr


# Runs side by side


def test_compare_shows_runs_and_draws_their_curves(run, tmp_path):
    shutil.copytree(run, tmp_path / "second")
    out = tmp_path / "curves.svg"
    process = resnext("compare", run, tmp_path / "second", "--out", out)
    assert process.returncode == 0, process.stderr
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    best = max(record["validation_accuracy"] for record in records)
    for name in ("first", "second"):
        (line,) = [line for line in process.stdout.splitlines() if line.split()[:1] == [name]]
        assert "resnext14_2x4d" in line
        assert "smoke" in line
        assert f"{100 * best:.2f} %" in line
    assert process.stdout.endswith(f"plot: {out}\n")
    assert out.read_text().lstrip().startswith("<?xml")


def test_compare_gives_mean_and_deviation_of_seeds(run, tmp_path):
    for seed, accuracy in ((0, 0.5), (1, 0.7)):
        folder = tmp_path / f"seed{seed}"
        shutil.copytree(run, folder)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "seed": seed}))
        row = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
        (folder / "metrics.jsonl").write_text(json.dumps({**row, "validation_accuracy": accuracy}) + "\n")
    process = resnext("compare", tmp_path / "seed0", tmp_path / "seed1")
    said = "60.00 % (deviation 14.14)"
    assert process.stdout.splitlines()[-1] == f"2 seeds, seed0, seed1: best validation {said}, last {said}"
    assert "seeds" not in resnext("compare", tmp_path / "seed0", run).stdout


def test_runs_of_one_name_are_told_apart_by_their_paths(run, tmp_path):
    from resnext import compare

    shutil.copytree(run, tmp_path / "first")
    assert [summary.name for summary in compare([run, tmp_path / "first"])] == [str(run), str(tmp_path / "first")]


def test_compare_refuses_in_one_line(run, tmp_path):
    assert refusal(resnext("compare")) == "no run was passed; pass one run folder or more"
    some = resnext("compare", run, tmp_path)
    assert "not a run folder" in refusal(some)
    assert "first" in some.stdout  # what can be shown is shown
    out = tmp_path / "curves.pdf"
    words = f"{out}: can't be written; pass a .png or .svg file in an existing folder"
    assert refusal(resnext("compare", run, "--out", out)) == words
    broken = tmp_path / "broken"
    shutil.copytree(run, broken)
    (broken / "metrics.jsonl").unlink()
    assert refusal(resnext("compare", broken)) == (
        f"{broken}: has no metrics.jsonl, so no epoch of it is finished. Pass another run."
    )
    for text in ("", "{", "[]", '{"epoch": "1"}', '{"epoch": 1}', "3"):
        (broken / "metrics.jsonl").write_text(text)
        assert "metrics.jsonl: damaged, or written by another version" in refusal(resnext("compare", broken))
