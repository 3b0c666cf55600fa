"""The average of finished trainings' weights, with batch-norm statistics to match."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from resnext.backend import import_keras
from resnext.data.batches import steps_per_epoch, training_batches
from resnext.data.source import open_data
from resnext.errors import ArgumentError, OutputError, listed
from resnext.files import user_path
from resnext.recipes.recipe import training_preprocessing
from resnext.runs.run import Run, run_of_weights
from resnext.runs.splits import readable, splits_of_run
from resnext.weights.save import check_file, save_weights
from resnext.weights.weights_file import open_weights

BATCHES = 32  # at most, for the batch-norm statistics


class Averaged(NamedTuple):
    """The result of `average_weights`."""

    path: Path
    run: Run  # the first one, whose images and recipe gave the statistics
    sources: int


def average_weights(sources: Sequence[str | Path], out: str | Path, data: str | Path | None = None) -> Averaged:
    """Average the weights of runs (Wortsman et al. 2022, https://arxiv.org/abs/2203.05482: a uniform soup).

    The batch-norm statistics of an average are not the average of statistics: they are computed anew from training
    images of the first run, as its recipe augments them. Trainings from the same weights average well; those from
    different random weights do not.

    Args:
        sources: two run folders (their best weights) or more, or files of weights in them, of one network and one
            order of classes.
        out: file to write, .safetensors.
        data: data of the first run, if it was moved.

    Raises:
        ArgumentError: there are fewer than two sources, one is not of a run, or they have other networks or classes;
            or the file exists or cannot be written.
        RunError, WeightsError, DataError, ImageError: as their messages state.

    >>> average_weights(["runs/a", "runs/b"], "averaged.safetensors").sources  # doctest: +SKIP
    2
    """
    path = user_path(out)
    check_file(path, (".safetensors",), "resnext")
    if path.exists():
        raise OutputError(f"{path}: exists already. Choose another --out, or remove it.")
    runs = _runs_of(sources)
    import_keras()
    from resnext.model.classifier import image_classifier, image_network, keras_config
    from resnext.training.evaluation_weights import precise_statistics
    from resnext.weights.variables import assign_weight, variables_by_name

    config = runs[0].config
    with keras_config("float32", "channels_last"):
        network = image_network(
            config.variant, len(config.classes), config.preprocessing, size=config.recipe.image_size
        )
        network.class_names, network.labels = config.classes, config.labels
        for name, variables in variables_by_name(network).items():
            assign_weight(name, variables, _mean(sources, runs, name))
        classifier = image_classifier(network, training_preprocessing(config.recipe))
        precise_statistics(classifier, *_images(runs[0], data))
        save_weights(network, path)
    return Averaged(path, runs[0], len(runs))


def _runs_of(sources: Sequence[str | Path]) -> list[Run]:
    """Return the runs of the sources. Raises ArgumentError unless they have one network and one order of classes."""
    if len(sources) < 2:
        raise ArgumentError(f"an average needs two runs or more. Received: {len(sources)}")
    runs = []
    for source in sources:
        run = run_of_weights(str(source))
        if run is None:
            raise ArgumentError(
                f"{source}: neither a run folder nor weights in one. An average needs runs, whose images and recipe "
                "give its batch-norm statistics."
            )
        runs.append(run)
    first = runs[0].config
    for run in runs[1:]:
        config = run.config
        if (config.variant, config.classes) != (first.variant, first.classes):
            raise ArgumentError(
                f"{run.folder}: {config.network} for {listed(config.classes)}, but {runs[0].folder} is {first.network} "
                f"for {listed(first.classes)}. Pass runs of one network and one order of classes."
            )
    return runs


def _mean(sources: Sequence[str | Path], runs: Sequence[Run], name: str) -> np.ndarray:
    """Return the mean of a weight, computed in float64."""
    values = []
    for source, run in zip(sources, runs, strict=True):
        with open_weights(source, run.config.variant) as file:
            values.append(file.value(file.found[name]))
    return np.asarray(np.mean(values, axis=0, dtype=np.float64), np.float32)


def _images(run: Run, data: str | Path | None):
    """Return batches of the run's training images, and their number."""
    config = run.config
    source = open_data(data or config.data, config.options.follow_links)
    train = readable(splits_of_run(source, run).train, run)
    batches = training_batches(train, config.recipe, training_preprocessing(config.recipe), config.options.seed)
    count = min(BATCHES, steps_per_epoch(train, config.recipe))
    return (batch[0] for batch in islice(batches, count)), count
