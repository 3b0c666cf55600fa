"""Names in any script: drawn by a font that is there, or numbered."""

import re
import warnings

import numpy as np
import pytest

from resnext.metrics.evaluation import Evaluation
from resnext.pages import fonts, plots

pytestmark = pytest.mark.once


def test_names_in_any_script_are_drawn_or_numbered(tmp_path, caplog, monkeypatch):
    """By a font that is there; a name that none can draw is numbered, once said, and no glyph is missing."""
    captions = []
    draw = plots.draw_sheet
    monkeypatch.setattr(
        plots,
        "draw_sheet",
        lambda pictures, *given, **more: (
            captions.extend(caption for caption, _ in pictures),
            draw(pictures, *given, **more),
        ),
    )
    names = ("Größe", "собака", "قط", "\U00012000\U00012001", "x\U0010fffd", "$cash$")
    labels = np.arange(6, dtype=np.int32)
    given = Evaluation.of(names, labels, [np.log(np.roll(np.eye(6), 1, axis=1) * 0.9 + 0.01)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plots.draw_confusion_matrix(given, tmp_path / "a.png")
        plots.draw_class_accuracy(given, tmp_path / "b.png")
        plots.draw_worst_mistakes(given, lambda index: ("a.jpg", np.zeros((8, 8, 3), np.uint8)), tmp_path / "c.png")
    assert fonts.legible(names)[:3] == list(names[:3])
    assert fonts.legible(names)[4:] == ["class 4", "$cash$"]
    assert "true class 4\nanswer $cash$\n" in "".join(captions), "the number of the class"
    (line,) = caplog.messages
    assert re.fullmatch(
        r"no installed font has all characters of [12] class names? \(.*\): the plots show their .*", line
    )
