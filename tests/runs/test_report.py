"""The page of a run and of an evaluation: everything in it, and nothing asked of a network."""

import subprocess
from html.parser import HTMLParser
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
from PIL import Image

from resnext.metrics.evaluation import Evaluation
from resnext.pages import plots
from resnext.pages.html import table
from resnext.runs.history import History
from resnext.runs.report import draw_report
from resnext.runs.run import Run
from support.browser import CHROMIUM, QUIET, driven, needs_browser
from support.command import resnext
from support.reports import HOSTILE

pytestmark = pytest.mark.once


def test_thousands_of_classes_take_memory_by_the_images(tmp_path):
    """5,000 images of 2,000 classes, of which nothing as large as images times classes is kept or drawn."""
    import tracemalloc

    rng = np.random.default_rng(0)
    labels = (rng.permutation(5_000) % 2_000).astype(np.int32)
    names = tuple(f"class {i}" for i in range(2_000))
    batch = np.log(rng.dirichlet(np.ones(2_000), 20)).astype(np.float32)
    plots.draw_sheet([], tmp_path / "first.png")  # imports matplotlib, whose own memory does not count
    tracemalloc.start()
    given = Evaluation.of(names, labels, (batch for _ in range(250)))
    assert len(given.class_metrics()) == 2_000
    assert len(given.mistakes()) == round(5_000 * (1 - given.top(1)))
    assert 0 < given.top(5) < 0.01
    config = SimpleNamespace(preprocessing=None)
    with (
        mock.patch("resnext.runs.report.write_report") as write,
        mock.patch.multiple(plots, draw_learning_curves=mock.DEFAULT, draw_worst_mistakes=mock.DEFAULT),
    ):
        _, missing = draw_report(tmp_path, config, History(), given, None, False)
    assert missing == "no confusion matrix of more than 1,000 classes"
    assert write.call_args.args[-1] == missing
    assert set(write.call_args.args[5]) == {"Learning curves", "Accuracy of each class", "Worst mistakes"}
    assert tracemalloc.get_traced_memory()[1] < 15e6
    tracemalloc.stop()


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
    pictures, captions = (sum(tag == name for tag, _ in page.tags) for name in ("img", "figcaption"))
    assert pictures == captions > 2
    assert any(said.endswith(" %") for said in page.said[page.said.index("Epochs") :]), (
        "accuracies of epochs are shares"
    )


def test_long_names_go_on_after_an_underscore_or_a_slash():
    assert "<td>photos/<wbr>in_<wbr>rain.jpg</td>" in table(["image"], [["photos/in_rain.jpg"]], numbers=())


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
