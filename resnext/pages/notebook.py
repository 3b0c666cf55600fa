"""What a notebook shows of a training: its numbers, where it is, and its curves."""

from __future__ import annotations

from typing import Any

from resnext.metrics.notebook import html_table
from resnext.pages.html import picture
from resnext.pages.plots import CAPTIONS, LEARNING_CURVES


def html_of_result(result: Any) -> str:
    """Return a `TrainingResult` as HTML, with its learning curves if they were drawn."""
    rows = [
        ("run", result.folder),
        ("test", f"{result.test.headline} of {len(result.test):,} images, last epoch"),
        ("validation", result.history.best_in_words.removeprefix("best validation ")),
        ("time", f"{result.history.seconds:,.0f} s"),
    ]
    curves = result.folder / LEARNING_CURVES
    drawn = picture("Learning curves", curves, CAPTIONS[LEARNING_CURVES]) if curves.is_file() else ""
    return f"<div>{html_table(rows)}{drawn}</div>"
