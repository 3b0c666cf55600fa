"""The result of an evaluation as a document, as a table of rows, and as a folder with a page."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from resnext.data.batches import name_of_image
from resnext.data.examples import Examples
from resnext.data.photos import photo_of
from resnext.errors import OutputError, one_line, printable
from resnext.files import to_json, user_path, write_atomically
from resnext.inference.csv_cells import CsvTable
from resnext.inference.evaluate import Evaluated
from resnext.inference.model import Model
from resnext.metrics.calibration import calibration_error
from resnext.metrics.evaluation import Evaluation
from resnext.metrics.names import NAMES
from resnext.metrics.probabilities import sigmoid
from resnext.metrics.remarks import sentence
from resnext.metrics.several import AnyEvaluation, LabelsEvaluation
from resnext.pages import plots
from resnext.pages.html import classes_table, escape, pairs_table, picture, section, table, write_page

EVALUATION = "evaluation.json"
METRICS = "metrics.csv"
PREDICTIONS = "predictions.csv"
MISTAKES = "mistakes.csv"
YES_NO = ("no", "yes")
SPREADSHEET = "\ufeff"  # by which spreadsheets know that a file is UTF-8
PAGE = "index.html"


def to_document(model: Model, data: str | Path, evaluated: Evaluated) -> dict[str, Any]:
    """Return all results of an evaluation, ready for `json.dumps`: shares from 0 to 1, the log loss in nats.

    "chosen_on" is whether some of the images chose the epoch, and "trained_on" the number of those that the network was
    trained on; both are None for a model that is not a run. "baseline" is the class with the most images, and the
    accuracy of always answering it; of several labels, the mAP of a random order.

    Args:
        model: model that was evaluated.
        data: data that it was evaluated on.
        evaluated: result of `evaluate_model`.
    """
    evaluation, views, seen = evaluated.evaluation, evaluated.views, evaluated.seen
    is_several = isinstance(evaluation, LabelsEvaluation)
    values, intervals = evaluation.metrics(), evaluation.intervals()
    return {
        "model": model.name,
        "data": str(data),
        "images": len(evaluation),
        "preprocessing": [each.preprocessing.to_json() for each in views],
        "views": len(views[0]) * len(views),
        "engine": evaluated.engine,
        "chosen_on": seen and seen.chosen_on,
        "trained_on": seen and seen.trained_on,
        "labels": "several" if is_several else "one",
        "baseline": _baseline(evaluation),
        "metrics": {name: {"value": values[name], "interval": intervals[name]} for name in values},
        "calibration": _calibration(model, evaluation),
        "published": published(model, evaluated),
        "absent_classes": absent(evaluated),
        "classes": [row._asdict() for row in evaluation.class_metrics()],
        "confusions": [] if is_several else [*_confusions(evaluation)],
    }


def _baseline(evaluation: AnyEvaluation) -> dict[str, str | float]:
    """Return the largest class and the accuracy of always answering it; of several labels, a random order's mAP."""
    if isinstance(evaluation, LabelsEvaluation):
        return {"map": evaluation.baseline}
    name, share = evaluation.baseline
    return {"class": name, "top1": share}


def _calibration(model: Model, evaluation: AnyEvaluation) -> dict[str, float]:
    """Return the temperature of the model, the error with it if each image has one class, and the best temperature."""
    known = {"temperature": model.temperature}
    if isinstance(evaluation, Evaluation):
        known["ece_at_temperature"] = calibration_error(evaluation.calibrated, evaluation.right)
    return known | {"best_temperature": evaluation.temperature}


def published(model: Model, evaluated: Evaluated) -> dict[str, float] | None:
    """Return the published accuracy in % for the same preprocessing, one view and all classes; None without one."""
    views = evaluated.views
    if model.published is None or len(views) > 1 or len(views[0]) > 1:
        return None
    if absent(evaluated) or len(evaluated.evaluation.classes) < len(model.classes):
        return None
    same = views[0].preprocessing
    for preprocessing, top1, top5 in model.published.accuracies:
        if preprocessing == same and top1 is not None and top5 is not None:
            return {"top1": top1, "top5": top5}
    return None


def absent(evaluated: Evaluated) -> list[str]:
    """Return the classes without images."""
    counts = evaluated.evaluation.images
    return [name for name, count in zip(evaluated.evaluation.classes, counts.tolist(), strict=True) if not count]


def _confusions(evaluation: Evaluation) -> Iterator[dict[str, Any]]:
    """Yield each pair of a true and another predicted class that occurs, the most frequent first."""
    classes = evaluation.classes
    true, predicted, counts = evaluation.confusions()
    for i in np.argsort(-counts, kind="stable"):
        yield {"true": classes[true[i]], "predicted": classes[predicted[i]], "images": int(counts[i])}


def to_csv(document: dict[str, Any]) -> str:
    """Return the metrics of `to_document` as CSV: a row for each, first over all classes, then for each class."""
    rows = [(name, "", entry["value"], *entry["interval"]) for name, entry in document["metrics"].items()]
    rows += [(name, "", value, "", "") for name, value in document["calibration"].items()]
    baseline = document["baseline"]
    rows.append(("baseline", baseline.get("class", ""), baseline.get("top1", baseline.get("map")), "", ""))
    rows += [
        (name, "", int(document[name]), "", "") for name in ("chosen_on", "trained_on") if document[name] is not None
    ]
    for group in (document.get("by") or {"groups": []})["groups"]:
        right = document["by"]["metric"]
        rows.append((f"{right}_by_{document['by']['column']}", group["value"], group[right], *group["interval"]))
    against = document.get("against") or {}
    rows += [(f"against_{name}", "", value, "", "") for name, value in against.items()]
    for row in document["classes"]:
        rows += [(name, row["name"], row[name], "", "") for name in row if name not in ("name", "mistaken_for")]
    return csv_text(("metric", "class", "value", "low", "high"), rows)


def write_folder(folder: str | Path, document: dict[str, Any], model: Model, evaluated: Evaluated) -> str | None:
    """Write an evaluation into a folder: numbers, the prediction for each image, plots, and a page with everything.

    Args:
        folder: new or empty folder.
        document: result of `to_document`.
        model: model that was evaluated.
        evaluated: result of `evaluate_model`.

    Returns:
        The reason why plots are missing, if they are.

    Raises:
        ArgumentError: the folder has files already.
    """
    folder = new_folder(folder)
    write_text(folder / EVALUATION, to_json(document, indent=1) + "\n")
    write_text(folder / METRICS, to_csv(document))
    order = [mistake.number for mistake in evaluated.evaluation.mistakes()]
    for name, numbers in ((PREDICTIONS, range(len(evaluated.examples))), (MISTAKES, order)):
        write_text(folder / name, SPREADSHEET + _predictions(evaluated, numbers))
    drawn, missing = _draw(folder, model, evaluated)
    main = main_metric(document)
    remarks = map(sentence, evaluated.seen.remarks if evaluated.seen else [])
    facts = [(name, document[name]) for name in ("model", "data", "images", "views")]
    facts += [(NAMES[name], metric_text(name, entry)) for name, entry in document["metrics"].items()]
    if model.temperature != 1 and not isinstance(evaluated.evaluation, LabelsEvaluation):
        at_temperature = f"{100 * document['calibration']['ece_at_temperature']:.2f} %"
        facts.append((f"calibration error at the run's temperature, {model.temperature:.3f}", at_temperature))
    facts.append((baseline_name(document), baseline_text(document)))
    if against := document.get("against"):
        facts += _against_in_words(against, evaluated.evaluation.RIGHT)
    if document["published"]:
        published_text = "{top1} %, {top5} %".format(**document["published"])
        facts.append(("published on ImageNet-1K: top-1, top-5", published_text))
    write_page(
        folder / PAGE,
        f"{Path(model.name).name} on {Path(str(document['data'])).name}",
        ". ".join(
            [f"{NAMES[main]} {metric_text(main, document['metrics'][main])}, {document['images']:,} images", *remarks]
        ),
        [
            section("Result", pairs_table(facts)),
            *(section(title, picture(title, path, plots.CAPTIONS[path.name])) for title, path in drawn.items()),
            section("Pictures", f"<p>{escape(missing)}</p>") if missing else "",
            section("Worst mistakes by name", _mistakes(evaluated)),
            section("Classes", classes_table(evaluated.evaluation)),
            _groups(document),
        ],
    )
    return missing


def _against_in_words(against: Mapping[str, Any], right: str) -> list[tuple[str, object]]:
    """Return the comparison with a second model as rows of the page."""
    return [
        ("against", against["model"]),
        (f"its {NAMES[right]}", f"{100 * against[right]:.2f} %"),
        ("right by both", f"{against['both']:,}"),
        ("right only by the first", f"{against['only_first']:,}"),
        ("right only by the second", f"{against['only_second']:,}"),
        ("right by neither", f"{against['neither']:,}"),
        ("McNemar's exact test", f"p = {against['p']:.3g}"),
    ]


def _groups(document: dict[str, Any]) -> str:
    """Return the accuracy for each value of a column as a section of the page, or nothing."""
    if "by" not in document:
        return ""
    right = document["by"]["metric"]
    rows = [
        (printable(group["value"]), f"{group['images']:,}", metric_text(right, {**group, "value": group[right]}))
        for group in document["by"]["groups"]
    ]
    column = printable(document["by"]["column"])
    return section(f"By {column}", table((column, "images", NAMES[right]), rows, numbers=(1, 2)))


def new_folder(folder: str | Path, option: str = "--out") -> Path:
    """Make a folder for results. Raises ArgumentError if that would touch other files, or fails."""
    path = user_path(folder)
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        what = "is a file" if path.is_file() else "holds other files"
        raise OutputError(f"{printable(path)}: {what}. Pass a new or an empty folder as {option}.")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{printable(path)}: can't be made ({one_line(error)}). Choose another {option}.") from error
    return path


def _mistakes(evaluated: Evaluated) -> str:
    """Return the images with the worst mistakes as a table."""
    rows = [
        (
            f"{100 * each.probability:.2f}",
            printable(name_of_image(evaluated.examples, each.number)),
            each.true,
            each.predicted,
        )
        for each in evaluated.evaluation.mistakes()[: plots.MISTAKES]
    ]
    head = ("probability (%)", "image", "true class", "predicted class")
    if isinstance(evaluated.evaluation, LabelsEvaluation):
        head = ("probability of the worst (%)", "image", "true labels", "predicted labels")
    return table(head, rows, numbers=(0,))


def _draw(folder: Path, model: Model, evaluated: Evaluated) -> tuple[dict[str, Path], str | None]:
    """Draw the plots; a failure here does not affect the numbers."""
    evaluation, examples, views = evaluated.evaluation, evaluated.examples, evaluated.views
    pictures, missing = plots.pictures_of(evaluation, partial(photo_of, examples, views[0].preprocessing))
    if isinstance(evaluation, Evaluation):
        reliability = partial(plots.draw_reliability, evaluation, model.temperature)
        pictures.insert(-1, ("Reliability", plots.RELIABILITY, reliability))
    drawn, failed = plots.draw_all(folder, pictures)
    return drawn, printable(failed) if failed else missing


def _predictions(evaluated: Evaluated, numbers: Iterable[int]) -> str:
    """Return the predictions for some of the images as CSV."""
    evaluation, examples = evaluated.evaluation, evaluated.examples
    if isinstance(evaluation, LabelsEvaluation):
        names = (f"probability of {name}" for name in evaluation.classes)
        head = ("image", "labels", "predicted", "correct", "loss", *names)
        return csv_text(head, (_row_of_labels(evaluation, examples, i) for i in numbers))
    head = ("image", "class", "predicted", "correct", "probability", "loss", "rank")
    return csv_text(head, (_row(evaluation, examples, i) for i in numbers))


def _row_of_labels(evaluation: LabelsEvaluation, examples: Examples, i: int) -> tuple[object, ...]:
    """Return image, labels, predicted labels, whether all are right, loss, and the probability of each class."""
    predicted, correct = evaluation.names(evaluation.predicted[i]), YES_NO[bool(evaluation.right[i])]
    probabilities = sigmoid(evaluation.logits[i]).tolist()
    loss = abs(float(evaluation.losses[i]))  # never -0.0
    return name_of_image(examples, i), evaluation.names(evaluation.has[i]), predicted, correct, loss, *probabilities


def _row(evaluation: Evaluation, examples: Examples, i: int) -> tuple[object, ...]:
    """Return image, class, predicted class, whether it is right, its probability; loss and rank of the true class."""
    label, predicted = evaluation.classes[evaluation.labels[i]], evaluation.classes[evaluation.predicted[i]]
    numbers = float(evaluation.probabilities[i]), abs(float(evaluation.losses[i])), int(evaluation.ranks[i])
    return name_of_image(examples, i), label, predicted, YES_NO[bool(evaluation.right[i])], *numbers


def metric_text(name: str, entry: dict[str, Any]) -> str:
    """Return a metric and its interval as text.

    >>> metric_text("top1", {"value": 0.5, "interval": (0.25, 0.75)})
    '50.00 % (25.00 to 75.00)'
    """
    scale, digits, unit = (1, 4, "") if name == "log_loss" else (100, 2, " %")
    value, low, high = (f"{scale * number:.{digits}f}" for number in (entry["value"], *entry["interval"]))
    return f"{value}{unit} ({low} to {high})"


def main_metric(document: dict[str, Any]) -> str:
    """Return the name of the metric that comes first."""
    return next(iter(document["metrics"]))


def baseline_name(document: dict[str, Any]) -> str:
    """Return what the accuracy is compared with, in words."""
    return "always the largest class" if "top1" in document["baseline"] else "mAP of a random order"


def baseline_text(document: dict[str, Any]) -> str:
    """Return the accuracy of always answering the largest class, and that class; or the mAP of a random order.

    >>> baseline_text({"baseline": {"class": "cat", "top1": 0.75}})
    '75.00 % (cat)'
    """
    baseline = document["baseline"]
    if "map" in baseline:
        return f"{100 * baseline['map']:.2f} %"
    return f"{100 * baseline['top1']:.2f} % ({printable(baseline['class'])})"


def csv_text(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return rows as comma-separated values."""
    text = io.StringIO()
    table = CsvTable(text, head)
    for row in rows:
        table.write(row)
    return text.getvalue()


def write_text(path: Path, text: str) -> None:
    """Write text; bytes of paths that are not valid UTF-8 stay unchanged."""
    write_atomically(path, text.encode("utf-8", "surrogateescape"))
