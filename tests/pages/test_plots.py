"""Plots of any number of classes; they cost no result where they can't be drawn."""

import dataclasses
import sys

import numpy as np
import pytest
from PIL import Image

from resnext import train
from resnext.metrics.evaluation import Evaluation
from resnext.pages.plots import CLASSES, MISTAKES, draw_class_accuracy, draw_worst_mistakes
from support.evaluations import evaluation
from support.photos import COLOURS, write_photos
from support.runs import QUICK, TINY

pytestmark = pytest.mark.once


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
