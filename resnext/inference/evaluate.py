"""Evaluate a trained network on labelled images."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Unpack

import numpy as np

from resnext.data.batches import evaluation_batches, name_of_image
from resnext.data.builtin import BUILTIN
from resnext.data.check import check_images
from resnext.data.chosen_classes import of_classes
from resnext.data.copies import sha256_of_images
from resnext.data.examples import Examples, of_channels
from resnext.data.labels.labelled_rows import as_several
from resnext.data.memory import MEMORY, Data, open_source
from resnext.data.source import DataSource
from resnext.engines.engine import Engine, Outputs
from resnext.errors import ArgumentError, DataError, NotFoundError, counted, printable
from resnext.images.preprocessing import Preprocessing
from resnext.images.views import Views
from resnext.inference.keywords import EvaluationKeywords
from resnext.inference.model import Model
from resnext.inference.options import EvaluationOptions
from resnext.inference.seen_images import SeenImages, seen_images
from resnext.keywords import with_keywords
from resnext.metrics.evaluation import Evaluation
from resnext.metrics.probabilities import log_softmax
from resnext.metrics.several import AnyEvaluation, LabelsEvaluation
from resnext.runs.run import Run
from resnext.runs.splits import readable

logger = logging.getLogger(__name__)

Check = Callable[[], None]


class Evaluated(NamedTuple):
    """An evaluation, its images, their preprocessing, and what the model has seen of them."""

    evaluation: AnyEvaluation
    examples: Examples
    views: list[Views]
    engine: str
    seen: SeenImages | None


def evaluate(
    model: str | Path | Model,
    data: Data | None = None,
    *,
    weights: str | None = None,
    options: EvaluationOptions | None = None,
    **keywords: Unpack[EvaluationKeywords],
) -> AnyEvaluation:
    """Evaluate a trained network on a folder of images: its test/ or val/, or the class folders themselves.

    Classes are matched by name, so that a folder with fewer classes, or in another order, is evaluated correctly. Of
    class folders that a run was trained on, moved or not, only the images that it held out are used.

    Args:
        model: run folder, tag of published weights, `hf:OWNER/NAME`, file of weights, or name of a network.
        data: folder of images, archive, built-in data set or images in Python, as `train` accepts them; by default that
            of the run.
        weights: as in `Model.open`: "best" or "last" for a run; the weights themselves for the name of a network.
        options: complete `EvaluationOptions`.
        keywords: any of their fields by name, such as `size=288`.

    Raises:
        ArgumentError, RunError, WeightsError, DataError, ImageError: as their messages state.

    >>> evaluate("runs/signs", "sign-digits").top(1)  # doctest: +SKIP
    0.9912
    """
    (chosen,) = with_keywords("evaluate", keywords, options or EvaluationOptions())
    opened = Model.open(model, weights)
    source = open_data_for(data_of(opened, data), chosen.follow_links, opened)
    examples = examples_for(opened, source, chosen.all)
    return evaluate_model(opened, examples, chosen).evaluation


def evaluate_model(
    model: Model,
    examples: Examples,
    options: EvaluationOptions = EvaluationOptions(),  # noqa: B008 - frozen
    done: Callable[[int, int], None] = lambda images, total: None,
) -> Evaluated:
    """Evaluate as `evaluate` does, and return the images as well.

    Args:
        model: opened model.
        examples: labelled images, as `examples_for` returns them.
        options: as in `evaluate`.
        done: called after each batch with the number of images evaluated and the total.
    """
    views = options.views(model.preprocessing)
    check_images(examples)
    columns = np.flatnonzero(examples.counts()) if options.only_data_classes else None
    if columns is not None:
        examples, _ = of_classes(examples, [examples.classes[i] for i in columns], "the data")
    model = model.with_engine(options.engine, len(examples))
    engines = model.engines([each.preprocessing for each in views])
    readers = [each if len(each) > 1 else each.preprocessing for each in views]
    at_once = max(1, options.batch_size // len(views[0]))
    streams = [scores(engine, examples, reader, at_once) for engine, reader in zip(engines, readers, strict=True)]

    def rows() -> Iterator[np.ndarray]:
        images = 0
        for logits in zip(*streams, strict=True):
            mean = Outputs(np.mean(logits, axis=0)).finite(model.name).logits
            yield mean if columns is None else mean[:, columns]
            images += len(mean)
            done(images, len(examples))

    thresholds = [threshold for i, threshold in enumerate(model.thresholds) if columns is None or i in columns]
    evaluation = evaluation_of(examples, rows(), model.temperature, thresholds)
    return Evaluated(evaluation, examples, views, model.engine_name, seen_images(model, examples))


def data_of(model: Model, data: Data | None) -> Data:
    """Return the data, or that of the run. Raises ArgumentError if the model is not a run, or its data has moved."""
    if data is not None:
        return data
    known = {run.config.data for run in model.runs}
    if len(model.runs) < len(model.singles) or len(known) > 1:
        what = "are not runs of the same data" if model.members else "is not a run, which would know its data"
        raise ArgumentError(f"{model.name}: {what}. Pass DATA to evaluate it on.")
    (known,) = known
    if known == MEMORY:
        raise ArgumentError(f"{model.name}: its images were passed from Python. Pass them again, as DATA.")
    if known not in BUILTIN and not Path(known).exists():
        raise NotFoundError(
            f"{printable(known)} does not exist. If the images of the run were moved, pass their folder."
        )
    return known


def comparable_examples(
    first: Model, second: Model, source: DataSource, everything: bool = False
) -> tuple[Examples, Examples]:
    """Return the images on which to evaluate each of two models; both get the same images.

    Raises:
        ArgumentError: the models have different classes, or held out different images of the data.
    """
    if {*first.classes} != {*second.classes}:
        raise ArgumentError(f"{first.name} and {second.name} have different classes. Pass models of the same classes.")
    one, other = _same_examples((first, second), source, everything)
    return one, other


def _same_examples(models: Sequence[Model], source: DataSource, everything: bool) -> list[Examples]:
    """Return the images on which to evaluate models. Raises ArgumentError if they held out different ones."""
    found = [examples_for(model, source, everything) for model in models]
    for model, examples in zip(models, found, strict=True):
        if _names(examples) != _names(found[0]):
            raise ArgumentError(
                f"{models[0].name} and {model.name} held out different images of this data. Pass images that neither "
                "was trained on."
            )
    return found


def _names(examples: Examples) -> list[str]:
    return [name_of_image(examples, i) for i in range(len(examples))]


def open_data_for(data: Data, follow_links: bool, *models: Model) -> DataSource:
    """Open the data for evaluating models; links are also followed if one of their runs followed them."""
    runs = [run for model in models for run in model.runs]
    return open_source(data, follow_links or any(run.config.options.follow_links for run in runs))


def examples_for(model: Model, source: DataSource, everything: bool = False) -> Examples:
    """Return the images on which to evaluate a model: those its training held out of the data, or all of other data.

    Args:
        model: opened model.
        source: data.
        everything: whether to use all images of all parts, but for those that a run was trained on.

    Raises:
        DataError: images are missing, or belong to classes that the model does not have.
    """
    found = of_channels(_examples_for(model, source, everything), model.preprocessing.channels)
    return as_several(found, model.several, model.name, source)


def _examples_for(model: Model, source: DataSource, everything: bool) -> Examples:
    if everything:
        return _everything_unseen(model, source)
    if model.members:
        return _same_examples(model.members, source, everything)[0]
    if model.run:
        return _examples_of_run(source, model.run)
    if model.wordnet_ids is None:
        return source.examples(model.classes)
    for names in (model.wordnet_ids, tuple(map(str, range(len(model.classes))))):  # as ImageNet and ImageNet-V2 do
        with contextlib.suppress(DataError):
            return dataclasses.replace(source.examples(names), classes=model.classes)
    return source.examples(model.classes)


def _everything_unseen(model: Model, source: DataSource) -> Examples:
    """Return all images of the data, without those that the run was trained on. Raises DataError if none is left."""
    examples = source.everything(model.classes)
    seen = frozenset().union(*(run.seen.trained for run in model.runs))
    hashes = sha256_of_images(examples.images) if seen else []
    new = [i for i, value in enumerate(hashes) if value not in seen] if hashes else None
    if new is None or len(new) == len(examples):
        return examples
    if not new:
        raise DataError(f"{model.name} was trained on all {len(examples):,} images of {source}. Pass others.")
    logger.info(f"left out: {len(examples) - len(new):,} of {len(examples):,} images, on which it was trained")
    return examples.take(new)


def _examples_of_run(source: DataSource, run: Run) -> Examples:
    held_out, classes = run.held_out, run.config.classes
    found = source.held_out(held_out, classes) if held_out else None
    if found:
        examples, missing = found
        if not missing:
            _tell_of_others(source, run, len(examples))
            return readable(examples, run)
        moved = 2 * len(missing) < len(held_out)  # other folders may have a few files with the same names
        if moved or source.name == run.config.data != MEMORY:
            how = " (a table must name them)" if source.table.rows else ""
            raise DataError(
                f"{len(missing)} of the {len(held_out)} images that the training held out are gone, the first of them "
                f"{printable(missing[0])}; put them back{how}, or pass a folder that the run was not trained on"
            )
        others = _of_its_classes(source, run)
        here = f"{len(held_out) - len(missing)} of the" if len(missing) < len(held_out) else "none of the"
        logger.info(
            f"{here} {len(held_out)} images that the training held out are here; all {len(others):,} are evaluated"
        )
        return others
    return _of_its_classes(source, run)


def _of_its_classes(source: DataSource, run: Run) -> Examples:
    """Return the images to evaluate; a run that chose its classes leaves out the others again."""
    if not run.config.options.classes:
        return source.examples(run.config.classes)
    examples, others = source.examples_of_chosen(run.config.classes)
    if others:
        logger.info(f"left out: {counted(others, 'image')} of classes that the run did not choose")
    return examples


def _tell_of_others(source: DataSource, run: Run, held_out: int) -> None:
    """Log the number of images that came after the training."""
    trained = len(run.images.trained)
    more = source.count() - trained - held_out
    if trained and more > 0 and not run.config.options.classes:
        logger.info(f"{counted(more, 'image')} more than the run had; --all evaluates all that it was not trained on")


def evaluate_examples(
    engine: Engine,
    examples: Examples,
    preprocessing: Preprocessing,
    batch_size: int,
    check: Check = lambda: None,
    thresholds: Sequence[float] = (),
) -> AnyEvaluation:
    """Evaluate a network on examples, in order, on all of its engine's devices.

    Args:
        engine: network from images to logits.
        examples: labelled images.
        preprocessing: how the images are prepared.
        batch_size: images in a batch.
        check: called before each batch; it may raise.
        thresholds: probability from which an image has each class, if it may have several; none: 0.5 for all.
    """
    return evaluation_of(examples, scores(engine, examples, preprocessing, batch_size, check), thresholds=thresholds)


def evaluation_of(
    examples: Examples, rows: Iterable[np.ndarray], temperature: float = 1.0, thresholds: Sequence[float] = ()
) -> AnyEvaluation:
    """Return the evaluation of logits, float32 (images, classes), part by part, by the kind of the labels."""
    if examples.several:
        return LabelsEvaluation.of(examples.classes, examples.targets(), rows, thresholds)
    return Evaluation.of(examples.classes, examples.labels, map(log_softmax, rows), temperature)


def scores(
    engine: Engine, examples: Examples, reader: Preprocessing | Views, batch_size: int, check: Check = lambda: None
) -> Iterable[np.ndarray]:
    """Yield the logits of examples batch by batch, float32 (batch, classes), averaged over views."""
    cluster = engine.cluster
    share = cluster.rank, cluster.processes
    for images, valid in evaluation_batches(examples, reader, batch_size, cluster.devices, share):
        check()
        logits = engine.outputs(images.reshape(-1, *images.shape[-3:])).logits
        views = images.shape[1] if images.ndim == 5 else 1  # the original code sums logits, too
        yield logits.reshape(-1, views, logits.shape[-1]).mean(axis=1)[:valid]
