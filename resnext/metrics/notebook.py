"""What a notebook shows of an evaluation: its metrics, and its classes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from resnext.metrics.names import NAMES

CLASSES = 30  # in a table


def html_of_evaluation(evaluation: Any) -> str:
    """Return an evaluation as HTML: its metrics, and its classes, lowest F1 first, up to CLASSES of them."""
    metrics = [("images", f"{len(evaluation):,}")]
    for name, value in evaluation.metrics().items():
        metrics.append((NAMES[name], f"{value:.4f}" if name == "log_loss" else f"{100 * value:.2f} %"))
    rows = sorted(evaluation.class_metrics(), key=lambda row: row.f1)
    classes = [(row.name, f"{row.images:,}", *(f"{100 * share:.2f} %" for share in row[2:5])) for row in rows]
    more = f"<p>the {CLASSES} lowest of {len(classes):,} classes</p>" if len(classes) > CLASSES else ""
    head = ("class", "images", "precision", "recall", "F1")
    return f"<div>{html_table(metrics)}{more}{html_table(classes[:CLASSES], head)}</div>"


def html_table(rows: Iterable[Sequence[object]], head: Sequence[str] = ()) -> str:
    """Return a table as HTML, with all of its texts escaped.

    >>> html_table([("a & b", 1)])
    '<table><tr><td>a &amp; b</td><td>1</td></tr></table>'
    """
    first = f"<tr>{''.join(f'<th>{escape(word)}</th>' for word in head)}</tr>" if head else ""
    cells = ("".join(f"<td>{escape(str(cell))}</td>" for cell in row) for row in rows)
    return f"<table>{first}{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"
