"""The report of a run on one page: a file that opens anywhere and loads nothing else."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
from collections.abc import Iterable, Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from resnext.data.batches import read_image_of
from resnext.files import write_atomically
from resnext.recipes.recipe import changed
from resnext.runs import plots
from resnext.runs.history import EpochRow, History
from resnext.runs.run import CLASS_ACCURACY, CONFUSION_MATRIX, LEARNING_CURVES, REPORT, WORST_MISTAKES
from resnext.variants.complexity import complexity

if TYPE_CHECKING:
    from resnext.data.examples import Examples
    from resnext.runs.config import RunConfig
    from resnext.runs.evaluate import Evaluation


STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; padding: 1rem; max-width: 62rem; }
h1 { margin-bottom: 0; font-size: 1.6rem; overflow-wrap: anywhere; }
h2 { margin: 2.2rem 0 .6rem; font-size: 1.2rem; }
.result { font-size: 1.1rem; margin-top: .2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .8rem .2rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
td.number, th.number { text-align: right; }
td { overflow-wrap: anywhere; }
img { max-width: 100%; height: auto; background: white; border-radius: 4px; }
pre { background: var(--soft); padding: .6rem; overflow-x: auto; border-radius: 4px; }
summary { cursor: pointer; }
"""
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def draw_report(
    folder: Path, config: RunConfig, history: History, test: Evaluation, examples: Examples
) -> tuple[tuple[Path, ...], str | None]:
    """Draw the plots of a run and write its page. Nothing that goes wrong here costs the result.

    Args:
        folder: run folder.
        config: configuration of the run.
        history: rows of its epochs.
        test: evaluation of the last weights on the test images.
        examples: test images.

    Returns:
        What was written, and why something is missing, if it is.
    """
    image = partial(read_image_of, examples, config.preprocessing)
    drawn: dict[str, Path] = {}
    too_many = len(test.classes) > plots.MATRIX_CLASSES
    missing = f"no confusion matrix of more than {plots.MATRIX_CLASSES:,} classes" if too_many else None
    try:
        for title, name, draw in [
            ("Learning curves", LEARNING_CURVES, partial(plots.draw_learning_curves, history)),
            *([] if too_many else [("Confusion matrix", CONFUSION_MATRIX, partial(plots.draw_confusion_matrix, test))]),
            ("Accuracy of each class", CLASS_ACCURACY, partial(plots.draw_class_accuracy, test)),
            ("Worst mistakes", WORST_MISTAKES, partial(plots.draw_worst_mistakes, test, image)),
        ]:
            draw(folder / name)
            drawn[title] = folder / name
        write_report(folder / REPORT, config, history, test, drawn, missing)
    except Exception as error:  # whatever it is, the test result is worth more
        missing = str(error)
        with contextlib.suppress(Exception):
            write_report(folder / REPORT, config, history, test, drawn, missing)
    return tuple(path for path in (*drawn.values(), folder / REPORT) if path.exists()), missing


def write_report(
    path: Path,
    config: RunConfig,
    history: History,
    test: Evaluation,
    images: dict[str, Path],
    missing: str | None = None,
) -> None:
    """Write the page of a run.

    Args:
        path: page to write.
        config: configuration of the run.
        history: rows of its epochs.
        test: evaluation of the last weights on the test images.
        images: .png files by what they show.
        missing: reason why plots are missing, if they are.
    """
    best = history.best
    result = (
        f"{100 * test.top(1):.2f} % of {len(test.labels):,} test images after the last epoch; best validation accuracy "
        f"{100 * best.validation_accuracy:.2f} % (epoch {best.epoch})"
    )
    sections = [
        _section("Network and data", _pairs(_facts(config, history))),
        _section(f"Recipe: {config.recipe.name}", _pairs(changed(config.recipe).items())),
        *(_section(name, _picture(name, file)) for name, file in images.items()),
        _section("Pictures", f"<p>{escape(missing)}</p>") if missing else "",
        _section("Classes", _classes(test)),
        _section("Epochs", f"<details><summary>{len(history)} rows</summary>{_epochs(history)}</details>"),
        _section("Use it", f"<pre>{escape(_commands(path, config))}</pre>"),
    ]
    title = f"{config.variant.name} on {Path(config.data).name}"
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
<h1>{escape(title)}</h1>
<p class="result">{escape(result)}</p>
{"".join(sections)}
</body>
</html>
"""
    write_atomically(path, page.encode("utf-8", "replace"))


def _facts(config: RunConfig, history: History) -> Iterable[tuple[str, object]]:
    size = config.preprocessing.size if config.recipe.image_size is None else config.recipe.image_size
    cost = complexity(config.variant, (size, size, 3), len(config.classes))
    yield "variant", config.variant.name
    yield "parameters", f"{cost.parameters:,}"
    yield "multiply-adds", f"{cost.multiply_adds:,} at {size} x {size}"
    yield "data", config.data
    yield "classes", f"{len(config.classes):,}"
    for field in dataclasses.fields(config.options):
        value = getattr(config.options, field.name)
        if field.name == "weights":
            yield "weights to start from", value or "random"
        elif field.name in ("seed", "dtype") or value != field.default:
            yield field.name.replace("_", " "), value
    yield "time", f"{history.seconds:,.0f} s in {history.epochs} epochs"
    yield "versions", ", ".join(f"{name} {version}" for name, version in config.versions.items())


def _commands(path: Path, config: RunConfig) -> str:
    from shlex import quote

    run = quote(str(path.parent))
    return f"resnext evaluate {run} {quote(config.data)}\nresnext predict {run} IMAGE..."


def _section(title: str, content: str) -> str:
    return f"<section>\n<h2>{escape(title)}</h2>\n{content}\n</section>\n"


def _pairs(pairs: Iterable[tuple[str, object]]) -> str:
    rows = (f'<tr><th scope="row">{escape(name)}</th><td>{escape(str(value))}</td></tr>' for name, value in pairs)
    return f'<div class="wide"><table>{"".join(rows)}</table></div>'


def _table(head: Sequence[str], rows: Iterable[Sequence[object]], numbers: Sequence[int]) -> str:
    """Return a table whose columns in `numbers` are right-aligned."""

    def cell(kind: str, column: int, value: object, more: str = "") -> str:
        flush = ' class="number"' if column in numbers else ""
        return f"<{kind}{flush}{more}>{escape(str(value))}</{kind}>"

    top = "".join(cell("th", column, name, ' scope="col"') for column, name in enumerate(head))
    body = "".join(f"<tr>{''.join(cell('td', i, value) for i, value in enumerate(row))}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def _classes(test: Evaluation) -> str:
    rows = [
        (row.name, f"{row.images:,}", f"{100 * row.accuracy:.2f}", row.taken_for or "-")
        for row in test.class_accuracy()
    ]
    return _table(("class", "images", "accuracy (%)", "most often mistaken for"), rows, numbers=(1, 2))


def _epochs(history: History) -> str:
    names = [name.replace("_", " ") for name in EpochRow._fields]
    rows = [[f"{value:.6g}" for value in row] for row in history.rows]
    return _table(names, rows, numbers=range(len(names)))


def _picture(name: str, path: Path) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    return f'<img alt="{escape(name)}" src="data:image/png;base64,{data}">'
