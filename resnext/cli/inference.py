"""Commands that use a trained network: evaluate, predict, explain."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import tyro
from tyro.conf import Positional

from resnext.cli.options import Unchecked, checked
from resnext.cli.output import Format, printed
from resnext.cli.progress import bar
from resnext.cli.tables import print_line, print_table
from resnext.errors import ArgumentError, DataError, ImageError, OutputError, counted, listed, printable
from resnext.files import numbered, user_path
from resnext.inference.misplaced import check_order
from resnext.inference.options import EvaluationOptions, PredictionFormat, PredictionOptions

if TYPE_CHECKING:
    from resnext.data.source import DataSource
    from resnext.inference.answers import Answers
    from resnext.inference.evaluate import Evaluated
    from resnext.inference.model import Model
    from resnext.inference.path_strengths import PathStrengths

logger = logging.getLogger(__name__)

CLASSES = 20  # printed at most
Flag: TypeAlias = tyro.conf.FlagCreatePairsOff[bool]
ModelArgument: TypeAlias = Annotated[Positional[str], tyro.conf.arg(metavar="MODEL")]


@dataclass(frozen=True)
class _Evaluation(Unchecked, EvaluationOptions):
    __doc__ = EvaluationOptions.__doc__


@dataclass(frozen=True)
class _Prediction(Unchecked, PredictionOptions):
    __doc__ = PredictionOptions.__doc__

    embeddings: Annotated[bool, tyro.conf.Suppress] = False  # follows from --embeddings FILE


def evaluate(
    model: ModelArgument,
    data: Annotated[Positional[str | None], tyro.conf.arg(metavar="DATA")] = None,
    weights: str | None = None,
    evaluation: tyro.conf.FlagCreatePairsOff[tyro.conf.OmitArgPrefixes[_Evaluation]] = _Evaluation(),
    against: str | None = None,
    by: Annotated[str | None, tyro.conf.arg(metavar="COLUMN")] = None,
    format: Format = "table",
    out: Path | None = None,
) -> None:
    """Evaluate a trained network on labelled images, with 95 % intervals.

    Args:
        model: run folder, file of weights, hf:OWNER/NAME, tag of published weights, or name of a network; A+B
            averages the logits of models A and B.
        data: folder with test/, val/ or class folders, archive, CSV file, or digits, cifar10, cifar100; by default the
            data of the run.
        weights: best, last or a kept epoch, for a run; a file, hf:OWNER/NAME or a tag, for the name of a network.
        evaluation: how images are seen.
        against: second model (a run's best weights) to compare on the same images by McNemar's test.
        by: column of the data's table, such as camera: the accuracy for each of its values.
        format: form of what is printed: table, json or csv.
        out: new folder for all numbers, the prediction for each image, plots, and a page.
    """
    from resnext.inference.evaluate import comparable_examples, data_of, evaluate_model, examples_for, open_data_for
    from resnext.inference.evaluation_files import PAGE, new_folder, to_document, write_folder
    from resnext.inference.model import Model

    options = checked(EvaluationOptions, evaluation)
    check_order("resnext evaluate", model, [] if data is None else [data])
    opened, other = Model.open(model, weights), None if against is None else Model.open(against)
    data = str(data_of(opened, data))
    source = open_data_for(data, options.follow_links, *filter(None, (opened, other)))
    examples, *others = (
        comparable_examples(opened, other, source, options.all)
        if other
        else [examples_for(opened, source, options.all)]
    )
    values = None if by is None else source.column(by, examples)
    folder = None if out is None else new_folder(out)
    _log_source(source)
    with bar("evaluating") as done:
        evaluated = evaluate_model(opened, examples, options, done)
    document = to_document(opened, data, evaluated)
    if by is not None and values:
        document["by"] = _by(evaluated, by, values)
    if other:
        with bar("evaluating the second") as done:
            second = evaluate_model(other, others[0], options, done)
        document["against"] = _against(evaluated, other, second)
    try:
        if folder:  # before a reader of the output can leave
            missing = write_folder(folder, document, opened, evaluated)
            logger.info(f"written: {printable(folder / PAGE)}{f' (without plots: {missing})' if missing else ''}")
    finally:  # also if the disk is full
        _print_in(format, document, opened, evaluated)


def _print_in(format: Format, document: dict[str, Any], model: Model, evaluated: Evaluated) -> None:
    """Print an evaluation in the form that was asked for."""
    from resnext.inference.evaluation_files import to_csv

    if format == "json":
        print(json.dumps(document, indent=1))
    elif format == "csv":
        print(to_csv(document), end="")
    else:
        _print_evaluation(document, model, evaluated)


def _log_source(source: DataSource) -> None:
    logger.info(f"labels: {source.origin(source.evaluated)}")
    for words in source.left_out():
        logger.warning(words)


def _by(evaluated: Evaluated, column: str, values: Sequence[str]) -> dict[str, Any]:
    """Return the accuracy for each value of a column."""
    from resnext.metrics.groups import accuracy_by_group

    right = evaluated.evaluation.RIGHT
    groups = [group._asdict() for group in accuracy_by_group(evaluated.evaluation.right, values)]
    named = [{right if name == "top1" else name: value for name, value in group.items()} for group in groups]
    return {"column": column, "metric": right, "groups": named}


def _against(evaluated: Evaluated, second: Model, other: Evaluated) -> dict[str, Any]:
    """Return the comparison of two models on the same images."""
    from resnext.metrics.side_by_side import side_by_side

    table, right = side_by_side(evaluated.evaluation.right, other.evaluation.right), evaluated.evaluation.RIGHT
    return {"model": second.name, right: other.evaluation.metrics()[right], **table._asdict()}


def _print_evaluation(document: dict[str, Any], model: Model, evaluated: Evaluated) -> None:
    from resnext.inference.evaluation_files import absent, baseline_text, metric_text
    from resnext.metrics.names import NAMES
    from resnext.metrics.remarks import imbalance

    names = absent(evaluated)
    if names:
        print_line(f"no images of {len(names):,} of {len(evaluated.evaluation.classes):,} classes: {listed(names)}")
    is_several, right = document["labels"] == "several", evaluated.evaluation.RIGHT
    for name, entry in document["metrics"].items():
        print_line(f"{NAMES[name]:18} {metric_text(name, entry)}")
        if name == "ece" and model.temperature != 1:
            error = 100 * document["calibration"]["ece_at_temperature"]
            print_line(f"{'':18} {error:.2f} % at the temperature of the run, {model.temperature:.3f}")
    print_line(f"{'mAP of a random order' if is_several else 'always the largest':18} {baseline_text(document)}")
    if document["published"]:
        print_line("on ImageNet-1K     top-1 {top1} %, top-5 {top5} % (published)".format(**document["published"]))
    _print_classes(evaluated)
    _print_groups(document)
    weights = f", {Path(model.source).stem} weights" if model.run else ""
    sizes = ", ".join(str(each.preprocessing.size) for each in evaluated.views)
    views = f", {document['views']} views of each" if document["views"] > 1 else ""
    how = f"{counted(document['images'], 'image')} at {sizes} pixels{views}{weights}, {document['engine']}"
    print_line(f"{how}; 95 % intervals in parentheses")
    for words in evaluated.seen.remarks if evaluated.seen else ():
        print_line(words)
    if words := imbalance(evaluated.evaluation.classes, evaluated.evaluation.images):
        print_line(words)
    if against := document.get("against"):
        print_line(f"against {against['model']}: {NAMES[right]} {100 * against[right]:.2f} %")
        print_line(
            f"both right {against['both']:,}, only the first {against['only_first']:,}, only the second "
            f"{against['only_second']:,}, neither {against['neither']:,}; McNemar's exact test: p = {against['p']:.3g}"
        )


def _print_classes(evaluated: Evaluated) -> None:
    """Print the classes, lowest F1 first, at most CLASSES of them."""
    from rich.table import Table

    from resnext.metrics.evaluation import ClassMetrics
    from resnext.metrics.several import LabelsEvaluation

    rows = sorted(evaluated.evaluation.class_metrics(), key=lambda row: row.f1)
    left_out = len(rows) - CLASSES
    is_several = isinstance(evaluated.evaluation, LabelsEvaluation)
    more = ("average precision", "threshold") if is_several else ("most often mistaken for",)
    names = ("class", "images", "precision", "recall", "F1", *more)
    table = Table(*names, box=None, title=f"the {CLASSES} lowest of {len(rows):,}" if left_out > 0 else None)
    for row in rows[:CLASSES]:
        shares = (f"{100 * share:.2f} %" for share in row[2:5])
        if isinstance(row, ClassMetrics):
            last = [printable(row.mistaken_for).replace("[", r"\[") if row.mistaken_for else "-"]
        else:
            precision = "-" if row.average_precision is None else f"{100 * row.average_precision:.2f} %"
            last = [precision, f"{row.threshold:.3f}"]
        table.add_row(printable(row.name).replace("[", r"\["), f"{row.images:,}", *shares, *last)
    print_table(table)


def _print_groups(document: dict[str, Any]) -> None:
    """Print the accuracy for each value of a column, the lowest first, at most CLASSES of them."""
    from rich.markup import escape
    from rich.table import Table

    from resnext.metrics.names import NAMES

    if "by" not in document:
        return
    groups, right = document["by"]["groups"], document["by"]["metric"]
    title = f"the {CLASSES} lowest of {len(groups):,}" if len(groups) > CLASSES else None
    table = Table(
        escape(printable(document["by"]["column"])), "images", NAMES[right], "95 % interval", box=None, title=title
    )
    for group in groups[:CLASSES]:
        low, high = (f"{100 * bound:.2f}" for bound in group["interval"])
        name = escape(printable(group["value"])) or "-"
        table.add_row(name, f"{group['images']:,}", f"{100 * group[right]:.2f} %", f"{low} to {high}")
    print_table(table)


def predict(
    model: ModelArgument,
    images: Annotated[Positional[tuple[str, ...]], tyro.conf.arg(metavar="INPUT...")],
    weights: str | None = None,
    prediction: tyro.conf.FlagCreatePairsOff[tyro.conf.OmitArgPrefixes[_Prediction]] = _Prediction(),
    format: PredictionFormat | None = None,
    out: Path | None = None,
    embeddings: Path | None = None,
    copy_to: Path | None = None,
) -> None:
    """Classify images, one row for each, in order. An image that can't be read gets a row with its error.

    Args:
        model: run folder, file of weights, hf:OWNER/NAME, tag of published weights, or name of a network; A+B
            averages the logits of models A and B.
        images: image files, folders, patterns such as 'photos/*.jpg', tar and zip archives, or - for a list of paths.
        weights: best or last, for a run; a file, hf:OWNER/NAME or a tag, for the name of a network.
        prediction: how images are classified.
        format: table, json, jsonl, csv or parquet; by default from the suffix of --out, or table.
        out: new file to write to instead of standard output.
        embeddings: new .npy or .parquet file for the pooled features of each image.
        copy_to: new folder for copies of the images, in a folder for each answer.
    """
    from resnext.inference.model import Model
    from resnext.inference.predict import predict
    from resnext.inference.prediction_files import check_outputs, open_embeddings, open_rows
    from resnext.inference.sorted_copies import SortedCopies

    check_outputs(out, embeddings)
    check_order("resnext predict", model, images)
    if copy_to is not None:
        _check_outside(copy_to, images, "--copy-to")
    chosen = checked(PredictionOptions, prediction, embeddings=embeddings is not None)
    opened = Model.open(model, weights)
    top = min(chosen.top, len(opened.classes))
    images_done, errors = 0, 0
    predictions = predict(opened, images, options=chosen)
    on_terminal = out is None and sys.stdout.isatty()
    copies = SortedCopies(copy_to)
    with (
        open_rows(format, out, top) as rows,
        open_embeddings(embeddings) as embeddings_file,
        bar("predicting", is_shown=not on_terminal) as done,
    ):
        started = time.perf_counter()
        for each in predictions:
            rows.write(each)
            embeddings_file.write(each)
            copies.write(each)
            images_done, errors = images_done + 1, errors + (each.error is not None)
            done(images_done, None)
    _report_work(images_done, time.perf_counter() - started, predictions)
    _check_errors(images, images_done, errors)


def _check_errors(inputs: tuple[str, ...], images: int, errors: int) -> None:
    """Raise an error if there was nothing to do or something could not be read."""
    if not images:
        raise DataError(f"no images in {', '.join(map(printable, inputs))}. Pass images, or folders that have some.")
    if errors:
        rows = "its row says" if errors == 1 else "their rows say"
        raise ImageError(f"{errors:,} of {counted(images, 'image')} can't be read; {rows} why")


def _report_work(images: int, seconds: float, answers: Answers) -> None:
    if answers.left_out:
        from resnext.data.layout import kinds_in_words

        logger.warning(f"left out: {kinds_in_words(answers.left_out)}")
    if images > 1:
        logger.info(f"{images:,} images in {seconds:.1f} s, {images / seconds:.1f} images/s ({answers.engine})")


def explain(
    model: ModelArgument,
    images: Annotated[Positional[tuple[str, ...]], tyro.conf.arg(metavar="INPUT...")],
    out: Path | None = None,
    weights: str | None = None,
    class_name: Annotated[str | None, tyro.conf.arg(name="class", metavar="NAME")] = None,
    follow_links: Flag = False,
    raw: Flag = False,
    fine: Flag = False,
    paths: Flag = False,
    block: str | None = None,
    format: Format = "table",
) -> None:
    """Show where a network looks, by class activation maps; or which paths of a block respond to which class.

    Args:
        model: run folder, file of weights, hf:OWNER/NAME, tag of published weights, or name of a network; A+B
            averages the logits of models A and B.
        images: as in predict; for the paths, one DATA of labelled images as in evaluate.
        out: new folder for the pictures and a table; by default maps-N, or paths-N.
        weights: best or last, for a run; a file, hf:OWNER/NAME or a tag, for the name of a network.
        class_name: class to explain; by default the one predicted for each image.
        follow_links: read images through links that lead out of a folder.
        raw: also write each map as .npy, in logits.
        fine: give a map of few positions more, by looking at the image again, moved by parts of a position.
        paths: show the strength of each path of a block for each class instead of maps.
        block: block whose paths to show, such as stage5_block3; by default the last one.
        format: form of what is printed: table, json or csv.
    """
    check_order("resnext explain", model, images)
    if paths and (class_name is not None or raw or fine):
        raise ArgumentError("--paths shows all classes and writes no maps. Leave --class, --raw and --fine out.")
    if block is not None and not paths:
        raise ArgumentError("--block is for --paths. Pass both, or leave it out.")
    out = out or numbered(Path("paths" if paths else "maps"))
    if paths:
        _explain_paths(model, images, out, weights, block, format)
        return
    from resnext.inference.explain import explain
    from resnext.inference.explanation_files import write_explanations
    from resnext.inference.fine_maps import LEAST
    from resnext.inference.model import Model

    _check_outside(out, images)
    rows: list[dict[str, Any]] = []
    positions: tuple[int, ...] = ()
    opened = Model.open(model, weights)
    explanations = explain(opened, images, class_name=class_name, follow_links=follow_links, fine=fine)
    started = time.perf_counter()
    for each, picture in write_explanations(out, explanations, opened.preprocessing, raw):
        share, positions = None if each.error else each.probability, positions if each.map is None else each.map.shape
        rows.append(
            {"image": each.image, "class": each.name, "probability": share, "picture": picture, "error": each.error}
        )
        if format == "table":
            what = f"error: {each.error}" if each.error else f"{each.name} {100 * each.probability:.2f} %  {picture}"
            print_line(f"{printable(each.image)}  {what}")
    printed(format, {"folder": out, "explanations": rows}, "explanations")
    if positions and min(positions) < LEAST and not fine:
        logger.info(f"maps have {positions[0]} x {positions[1]} positions; --fine, or larger images, have more")
    _report_work(len(rows), time.perf_counter() - started, explanations)
    _check_errors(images, len(rows), sum(row["error"] is not None for row in rows))


def _check_outside(out: Path, images: tuple[str, ...], option: str = "--out") -> None:
    """Refuse an output folder inside a folder of images: its pictures would be read in turn."""
    for image in images:
        if user_path(image).is_dir() and user_path(out).resolve().is_relative_to(user_path(image).resolve()):
            raise OutputError(
                f"{printable(out)}: lies in {printable(image)}, whose images are being read. Choose another {option}."
            )


def _explain_paths(
    model: str, data: tuple[str, ...], out: Path, weights: str | None, block: str | None, format: Format
) -> None:
    from resnext.inference.path_strengths import path_strengths, write_paths

    if len(data) != 1:
        raise ArgumentError(f"--paths needs one DATA of labelled images. Received: {len(data)}")
    with bar("measuring paths") as done:
        found = path_strengths(model, data[0], weights=weights, block=block, done=done)
    overall = found.strengths.mean(axis=0)
    files = write_paths(out, found)
    if printed(format, _document_of_paths(found, files), "paths"):
        return
    for name, row in zip(found.classes, found.strengths, strict=True):
        best = [i for i in (row / overall).argsort()[::-1][:3] if row[i] > overall[i]]
        strong = [f"path {i + 1} ({row[i] / overall[i]:.2f} times its mean)" for i in best]
        print_line(f"{printable(name)}: {', '.join(strong) or 'no path above its mean'}")
    for path in files:
        logger.info(f"written: {printable(path)}")


def _document_of_paths(found: PathStrengths, files: Sequence[Path]) -> dict[str, Any]:
    """Return the strengths of paths for programs: a row for each class and path."""
    overall = found.strengths.mean(axis=0)
    rows = [
        {"class": name, "path": place + 1, "strength": float(value), "ratio": float(value / overall[place])}
        for name, strengths in zip(found.classes, found.strengths, strict=True)
        for place, value in enumerate(strengths)
    ]
    return {"block": found.block, "paths": rows, "files": files}
