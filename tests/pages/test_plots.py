"""Plots of any number of classes; they cost no result where they can't be drawn."""

import dataclasses
import sys

import numpy as np
import pytest
from PIL import Image

from resnext import train
from resnext.metrics.evaluation import Evaluation
from resnext.pages import plots
from resnext.pages.plots import CLASSES, LETTERS, MISTAKES, draw_class_accuracy, draw_worst_mistakes
from resnext.runs.history import EpochRow
from support.evaluations import evaluation
from support.photos import COLOURS, write_photos
from support.runs import QUICK, TINY

pytestmark = pytest.mark.once


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_pictures_of_any_number_of_classes_are_of_a_size_to_look_at(classes, tmp_path):
    given = evaluation(classes, images=3000)
    draw_class_accuracy(given, tmp_path / "classes.png")
    asked = []
    draw_worst_mistakes(
        given, lambda i: (asked.append(i), ("a.jpg", np.zeros((8, 8, 3), np.uint8)))[1], tmp_path / "mistakes.png"
    )
    assert asked == [mistake.number for mistake in given.mistakes()[:MISTAKES]]
    for name in ("classes.png", "mistakes.png"):
        with Image.open(tmp_path / name) as picture:
            assert min(picture.size) > 100
            assert max(picture.size) < 2500
    assert CLASSES < 1000


def test_no_mistakes_are_a_picture_too(tmp_path):
    perfect = Evaluation.of(("a", "b"), np.array([0, 1], np.int32), [np.log(np.eye(2) * 0.8 + 0.1)])
    draw_worst_mistakes(perfect, lambda i: pytest.fail("asked for an image"), tmp_path / "none.png")
    assert (tmp_path / "none.png").stat().st_size > 1000


def test_pictures_are_an_extra(colours, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    trained = train(colours, TINY, tmp_path / "run", recipe=QUICK)
    assert trained.plots == (tmp_path / "run" / "report.html",)
    assert trained.plots_missing == "drawing plots needs the package matplotlib: pip install 'resnext[plots]'"


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


def test_captions_of_long_names_fit_into_their_cells(tmp_path, monkeypatch):
    """Names of 30 letters and more, and the file of each photo, in lines that a cell holds; two per name at most."""
    names = ("Große Königslibelle am Waldrand", "Blaue Federlibelle mit einem sehr langen Namen, der nicht mehr passt")
    given = Evaluation.of(names, np.array([0, 1], np.int32), [np.log([[0.2, 0.8], [0.7, 0.3]])])
    captions = []
    wrapped = plots._wrapped
    monkeypatch.setattr(plots, "_wrapped", lambda text: captions.append(wrapped(text)) or captions[-1])
    draw_worst_mistakes(given, lambda i: (f"photo {i}.jpg", np.zeros((30, 60, 3), np.uint8)), tmp_path / "a.png")
    assert captions[0].splitlines()[:2] == ["true Große Königslibelle am", "Waldrand"]
    assert captions[0].splitlines()[-1] == "80 %  photo 0.jpg"
    assert all(len(line) <= LETTERS for caption in captions for line in caption.splitlines())
    width, _ = Image.open(tmp_path / "a.png").size
    assert width < 800, "as wide as its two pictures"


def test_runs_that_differ_in_their_seed_are_one_colour(tmp_path, monkeypatch):
    lines = []
    rows = [[EpochRow(epoch, 0.1, 1.0, 0.5, 1.0, 0.5 + 0.1 * seed, 1.0, 10.0) for epoch in (1, 2)] for seed in range(3)]
    figure = plots._figure
    monkeypatch.setattr(plots, "_figure", lambda **size: lines.append(figure(**size)) or lines[-1])
    plots.draw_comparison([("a", rows[:2]), ("b", rows[2:])], tmp_path / "a.svg")
    accuracy = lines[0].axes[1]
    by_colour = {}
    for line in accuracy.lines:
        by_colour.setdefault(line.get_color(), []).append(line)
    assert [len(found) for found in by_colour.values()] == [6, 2]  # two runs and their mean, twice; one run, twice
    mean = max(by_colour["C0"], key=lambda line: line.get_linewidth())
    assert mean.get_label() in ("a: train, mean and range of 2 seeds", "a: validation, mean and range of 2 seeds")
    assert [*accuracy.lines[5].get_ydata()] == pytest.approx([55, 55])


def test_captions_break_after_an_underscore():
    assert plots._wrapped("true meadow_in_the_rain_of_a_long_night") == "true meadow_in_the_rain_of_a_long_\nnight"
