"""Cross-validation: a training for each fold, and a prediction for every image by a network that has not seen it."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from resnext.data.batches import name_of_image
from resnext.data.examples import Examples
from resnext.data.labels.labelled_rows import as_several
from resnext.data.memory import Data, open_source
from resnext.data.source import DataSource
from resnext.engines.engine import Outputs
from resnext.errors import ArgumentError, DataError, RunError, RunFolderError
from resnext.files import user_path, write_atomically
from resnext.inference.evaluate import evaluation_of, scores
from resnext.inference.evaluation_files import csv_text
from resnext.inference.model import Model
from resnext.recipes.recipe import Recipe
from resnext.runs.config import TrainingOptions
from resnext.runs.run import Run, is_run, list_folder
from resnext.runs.splits import readable
from resnext.training.defaults import choose_weights, default_folder
from resnext.training.keywords import TrainingKeywords
from resnext.training.train import recipe_and_options, resume, train
from resnext.variants.variant import Variant

logger = logging.getLogger(__name__)

PREDICTIONS = "predictions.csv"
BATCH_SIZE = 64


@dataclass(frozen=True, repr=False)
class CrossValidation:
    """The result of a cross-validation: the last weights of each fold on the images that it held out.

    Args:
        folder: its folder, with a run for each fold and the predictions.
        runs: the runs, in the order of the folds.
        accuracies: top-1 accuracy of each on its own images; mAP of several labels.
        right: whether each image of the data is classified correctly, bool (images,), fold by fold; of several labels,
            whether all are right at 0.5.
        predictions: table of the probabilities of each image.
    """

    folder: Path
    runs: tuple[Run, ...]
    accuracies: tuple[float, ...]
    right: np.ndarray
    predictions: Path

    def __repr__(self) -> str:
        mean = sum(self.accuracies) / len(self.accuracies)
        return f"CrossValidation({self.folder}: {len(self.runs)} folds, mean {100 * mean:.2f} %)"


def cross_validate(
    data: Data,
    variant: str | Variant | None = None,
    out: str | Path | None = None,
    *,
    recipe: Recipe | str | None = None,
    options: TrainingOptions | None = None,
    workers: int | None = None,
    device: str | None = None,
    **keywords: Unpack[TrainingKeywords],
) -> CrossValidation:
    """Train on all folds but one, for each of them: `folds=5` makes five runs, OUT/fold-1 to OUT/fold-5.

    Each is the run that `train(..., folds=5, fold=K)` writes. Called again with the same `out`, it resumes those that
    were stopped, keeps those that are finished, and trains the rest. `predictions.csv` has a row for each image, with
    the probabilities by the network that was not trained on it.

    Args:
        data: as in `train`.
        variant: as in `train`.
        out: folder, new or of this cross-validation; by default `runs/DATA-K-folds-N` with the next number.
        recipe: as in `train`.
        options: as in `train`; `folds` is the number of parts, and `fold` must be None.
        workers: as in `train`.
        device: as in `train`.
        keywords: as in `train`.

    Raises:
        ArgumentError, RunError, DataError and the others of `train` and `resume`.

    >>> cross_validate("photos", folds=5).accuracies  # doctest: +SKIP
    (0.9167, 0.875, 0.9583, 0.9167, 0.875)
    """
    _, chosen = recipe_and_options("cross_validate", recipe, options, keywords)
    if not chosen.folds or chosen.fold:
        raise ArgumentError(f"`folds` must be given, and `fold` not. Received: {chosen.folds} and {chosen.fold}")
    source = open_source(data, chosen.follow_links)
    folder = default_folder(source, f"{chosen.folds}-folds") if out is None else user_path(out)
    _check_folder(folder)
    settings: dict[str, Any] = {word: value for word, value in keywords.items() if word not in ("folds", "fold")}
    for fold in range(1, chosen.folds + 1):
        logger.info(f"fold {fold} of {chosen.folds}: {folder / f'fold-{fold}'}")
        place, of_fold = folder / f"fold-{fold}", dataclasses.replace(chosen, fold=fold)
        machine: dict[str, Any] = {"workers": workers, "device": device}
        if is_run(place):
            _go_on(place, data, of_fold, settings, machine)
        else:
            train(data, variant, place, recipe=recipe, options=of_fold, **machine, **settings)
        _forget_networks()
    return _collected(folder, source, chosen.folds)


def _go_on(
    place: Path, data: Data, options: TrainingOptions, settings: dict[str, Any], machine: dict[str, Any]
) -> None:
    """Resume a fold, unless it is finished. Raises RunError if it was trained otherwise."""
    run = Run.open(place)
    if not run.is_finished:
        resume(place, data=data, options=options, **machine, **settings)
        return
    weights = choose_weights(options.weights, None)[0]
    if dataclasses.replace(options, weights=weights) != run.config.options:
        raise RunError(f"{place}: a fold of another cross-validation. Pass the same options, or another --out.")


def _forget_networks() -> None:
    """Free the memory of a finished training."""
    import keras

    keras.utils.clear_session(free_memory=True)


def _check_folder(folder: Path) -> None:
    """Raise RunError if the folder has anything but folds and their predictions."""
    if folder.is_file() or is_run(folder):
        raise RunFolderError(
            f"{folder}: is a {'file' if folder.is_file() else 'run'}. Choose another --out for the folds."
        )
    if folder.is_dir() and (other := [p for p in list_folder(folder) if not p.name.startswith(("fold-", PREDICTIONS))]):
        raise RunFolderError(
            f"{folder}: holds other files, such as {other[0].name}. Choose another --out for the folds."
        )
    folder.mkdir(parents=True, exist_ok=True)


def _collected(folder: Path, source: DataSource, folds: int) -> CrossValidation:
    """Predict every image by the network of its fold, and write the predictions."""
    runs = tuple(Run.open(folder / f"fold-{fold}") for fold in range(1, folds + 1))
    rows, right, accuracies = [], [], []
    for fold, run in enumerate(runs, 1):
        model, examples = Model.open(run.folder, "last"), _held_out(source, run)
        outputs = _outputs(model, examples)
        evaluation = evaluation_of(examples, [outputs.logits])  # fitted thresholds would be those of the same images
        right.append(evaluation.right)
        accuracies.append(evaluation.metrics()[evaluation.MAIN])
        for i, shares in enumerate(outputs.probabilities().tolist()):
            answer = evaluation.answer(i)
            rows.append((name_of_image(examples, i), examples.name_of_labels(i), answer, fold, *shares))
    label = "labels" if runs[0].config.several else "class"
    head = ("image", label, "predicted", "fold", *(f"probability of {name}" for name in runs[0].config.classes))
    text = csv_text(head, rows)
    write_atomically(folder / PREDICTIONS, text.encode("utf-8", "surrogateescape"))
    return CrossValidation(folder, runs, tuple(accuracies), np.concatenate(right), folder / PREDICTIONS)


def _held_out(source: DataSource, run: Run) -> Examples:
    config = run.config
    found = source.held_out(run.held_out, config.classes)
    if found is None or found[1]:
        raise DataError(f"{source}: its images are not those of {run.folder}. Restore them, or choose another --out.")
    return as_several(readable(found[0], run), config.several, str(run.folder), source)


def _outputs(model: Model, examples: Examples) -> Outputs:
    (engine,) = model.engines()
    logits: Sequence[np.ndarray] = [*scores(engine, examples, model.preprocessing, BATCH_SIZE)]
    return Outputs(np.concatenate(logits), several=model.several)
