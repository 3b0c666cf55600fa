"""Self-contained pages that open anywhere and load nothing else."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from resnext.errors import visible
from resnext.files import write_atomically
from resnext.metrics.evaluation import ClassMetrics, Evaluation
from resnext.metrics.several import AnyEvaluation, LabelMetrics


def escape(text: str) -> str:
    """Return text for HTML, whose control characters are shown."""
    return html.escape(visible(text))


STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; }
body { background: Canvas; color: CanvasText; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; padding: 1rem; max-width: 62rem; }
h1 { margin-bottom: 0; font-size: 1.6rem; overflow-wrap: anywhere; }
th[scope="row"] { font-weight: 600; min-width: 7rem; }
h2 { margin: 2.2rem 0 .6rem; font-size: 1.2rem; }
.result { font-size: 1.1rem; margin-top: .2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .8rem .2rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
td.number, th.number { text-align: right; }
td { overflow-wrap: break-word; max-width: 28rem; }
td.number, th.number { white-space: nowrap; }
figure { margin: 0; }
figcaption { font-size: .9rem; }
img { max-width: 100%; height: auto; background: white; border-radius: 4px; }
@media (max-width: 40rem) {
  table { font-size: .8rem; }
  th, td { padding-right: .5rem; }
  td { max-width: 7.5rem; }
  th.number { white-space: normal; }
  .wide img { max-width: 44rem; }
}
pre { background: var(--soft); padding: .6rem; overflow-x: auto; border-radius: 4px; }
summary { cursor: pointer; }
"""
BREAKS = re.compile(r"([_/])")  # after which a long name may go on in the next line
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def write_page(path: Path, title: str, result: str, sections: Iterable[str]) -> None:
    """Write a page.

    Args:
        path: page to write.
        title: its title; all text, including this, is escaped.
        result: its result, in one line.
        sections: results of `section`.
    """
    page = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<h1>{escape(title)}</h1>
<p class="result">{escape(result)}</p>
{"".join(sections)}
</main>
</body>
</html>
"""
    write_atomically(path, page.encode("utf-8", "replace"))


def section(title: str, content: str) -> str:
    """Return a section of a page. The title is escaped; the content is HTML."""
    return f"<section>\n<h2>{escape(title)}</h2>\n{content}\n</section>\n"


def pairs_table(pairs: Iterable[tuple[str, object]]) -> str:
    """Return a table of names and values."""
    rows = (f'<tr><th scope="row">{escape(name)}</th><td>{escape(str(value))}</td></tr>' for name, value in pairs)
    return f'<div class="wide" tabindex="0"><table>{"".join(rows)}</table></div>'


def table(head: Sequence[str], rows: Iterable[Sequence[object]], numbers: Sequence[int]) -> str:
    """Return a table whose columns in `numbers` are right-aligned."""

    def cell(kind: str, column: int, value: object, more: str = "") -> str:
        flush = ' class="number"' if column in numbers else ""
        shown = BREAKS.sub(r"\1<wbr>", escape(str(value)))
        return f"<{kind}{flush}{more}>{shown}</{kind}>"

    top = "".join(cell("th", column, name, ' scope="col"') for column, name in enumerate(head))
    body = "".join(f"<tr>{''.join(cell('td', i, value) for i, value in enumerate(row))}</tr>" for row in rows)
    return f'<div class="wide" tabindex="0"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def classes_table(evaluation: AnyEvaluation) -> str:
    """Return a table of the classes, in %."""
    head = ("class", "images", "precision (%)", "recall (%)", "F1 (%)")
    rows = [
        (row.name, f"{row.images:,}", *(f"{100 * share:.2f}" for share in row[2:5]), *_last_cells(row))
        for row in evaluation.class_metrics()
    ]
    if isinstance(evaluation, Evaluation):
        return table((*head, "most often mistaken for"), rows, numbers=(1, 2, 3, 4))
    return table((*head, "average precision (%)", "threshold (%)"), rows, numbers=(1, 2, 3, 4, 5, 6))


def _last_cells(row: ClassMetrics | LabelMetrics) -> tuple[str, ...]:
    if isinstance(row, LabelMetrics):
        precision = "-" if row.average_precision is None else f"{100 * row.average_precision:.2f}"
        return precision, f"{100 * row.threshold:.2f}"
    return (row.mistaken_for or "-",)


def picture(name: str, path: Path, caption: str) -> str:
    """Return a .png file as a part of the page, above its caption."""
    data = base64.b64encode(path.read_bytes()).decode()
    shown = f'<div class="wide" tabindex="0"><img alt="{escape(name)}" src="data:image/png;base64,{data}"></div>'
    return f"<figure>{shown}<figcaption>{escape(caption)}</figcaption></figure>"
