"""Train a network, or resume a training.

The checks that need no Keras come first, because importing it takes seconds; then `train_session` takes over.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, Unpack

from resnext.backend import choose_device, installed_versions, usable_cores
from resnext.data.builtin import BUILTIN
from resnext.data.check import check_channels, check_images, drop_unreadable, readers
from resnext.data.class_folders import alike
from resnext.data.copies import sha256_of_images
from resnext.data.examples import median_side, of_channels, sample_sizes
from resnext.data.memory import MEMORY, Data, open_source
from resnext.data.source import DataSource
from resnext.distributed import Cluster, initialize, is_main, launched
from resnext.errors import ArgumentError, DataError, RunError, RunFolderError, missing_package, printable
from resnext.files import user_path
from resnext.images.watchdog import watch_files
from resnext.keywords import with_keywords
from resnext.recipes.complete import CompleteRecipe, complete, following_batch
from resnext.recipes.names import default_recipe, get_recipe, own_variant
from resnext.recipes.recipe import Recipe, evaluation_preprocessing
from resnext.runs.config import RunConfig, TrainingOptions, changes, network_name
from resnext.runs.images import ImageRecord
from resnext.runs.lock import check_idle, lock
from resnext.runs.run import CONFIG, Run, check_unused, command_to_resume, is_run, run_of_weights
from resnext.runs.splits import splits_of_options, splits_of_run
from resnext.training.callbacks import Callback, check_callbacks
from resnext.training.checkpoints import FOLDER as CHECKPOINTS
from resnext.training.checkpoints import Checkpoint, checkpoint_name, other_images, read_checkpoint, read_newest
from resnext.training.defaults import (
    choose_weights,
    default_folder,
    default_recipe_for,
    network_of_weights,
    of_same_channels,
    same_classes,
)
from resnext.training.keywords import TrainingKeywords
from resnext.training.labels import labels_per_image, recipe_for_labels
from resnext.training.logs.log import check_logs
from resnext.training.notes import (
    about_few,
    about_imbalance,
    about_labels,
    about_pages,
    about_shapes,
    about_start,
    about_weights,
)
from resnext.training.signals import stop_on_signals
from resnext.variants.choose import Choice, choose_network
from resnext.variants.names import as_variant
from resnext.variants.variant import Variant

if TYPE_CHECKING:
    from resnext.data.splits import Splits
    from resnext.training.session import TrainingResult

logger = logging.getLogger(__name__)

CORES = "cores"  # that this process may use: kernels add in another order on another number
HINT = "Repair or remove them; train leaves them out with --skip-bad {bad}"


def train(
    data: Data,
    variant: str | Variant | None = None,
    out: str | Path | None = None,
    *,
    recipe: Recipe | str | None = None,
    options: TrainingOptions | None = None,
    workers: int | None = None,
    device: str | None = None,
    callbacks: Sequence[Callback] = (),
    **keywords: Unpack[TrainingKeywords],
) -> TrainingResult:
    """Train a network and keep everything about it in a run folder (see `resnext.runs.run`).

    Args:
        data: folder, tar or zip archive `train/<class>/*` with `test/` or `val/` beside it, or `<class>/*`; a CSV file
            with the columns file and label; one of the built-in data sets `digits`, `cifar10`, `cifar100`; or images
            in Python: `(images, labels)`, a data set of Keras, TensorFlow or Hugging Face, or an `ImageSource`.
        variant: name such as `"resnext50_32x4d"`, or a `Variant`; by default that of the weights or, without weights,
            that of the recipe, or one that suits the images.
        out: run folder, new or empty; by default `runs/DATA-VARIANT-N` with the next number.
        recipe: training recipe to use, or its name; by default "photos", or "finetune" with weights; from a run of the
            same classes, that run's own, without its warm-up.
        options: complete `TrainingOptions`.
        workers: threads that make batches ahead; by default one per core, at most 8. Their number does not change the
            batches.
        device: "cpu", "gpu" or "gpu:N"; by default a GPU if the backend finds one. Choose it before Keras is imported.
        callbacks: functions of the row of each evaluated epoch, which end the training by returning True, and Keras's
            callbacks, of which the hooks of epochs are called (see `resnext.training.callbacks`).
        keywords: any field of `Recipe` or `TrainingOptions` by its name, such as `epochs=5`, `weights="auto"`.

    Raises:
        ArgumentError, RunError, DataError, WeightsError: before anything is written.
        ImageError, TrainingDiverged, SavingError, OutOfMemoryError: the run folder keeps what was saved.
        DistributedError, PeerLostError: several processes (see `resnext.distributed`) cannot reach each other or share
            the batches, or one of them has ended.
        Stopped: SIGTERM, SIGINT or SIGUSR1 was received; `resume` continues.

    >>> train("sign-digits", out="runs/signs", epochs=20, seed=1).test.top(1)  # doctest: +SKIP
    0.9912
    """
    named, calls = get_recipe(recipe) if isinstance(recipe, str) else recipe, check_callbacks(callbacks)
    recipe, options = recipe_and_options("train", named, options, keywords)
    _choose_machine(device, workers)
    folder = None if out is None else user_path(out)
    _check_free(folder)
    wanted = options.weights
    start, network = _choose_start(variant, recipe, wanted)
    if start != wanted and not named:
        recipe, _ = recipe_and_options("train", None, options, {**keywords, "weights": start})
    options = dataclasses.replace(options, weights=start)
    _check_no_run(data)
    source = open_source(data, options.follow_links)
    with stop_on_signals() as stop, watch_files(stop.fail), contextlib.ExitStack() as locked:
        run = run_of_weights(start)
        splits = splits_of_options(source, options, run.seen if run else None)
        others = run and not named and not same_classes(run, splits.train.classes)
        recipe = _recipe_from(default_recipe(start) if others else None, recipe, options, keywords)
        sizes = sample_sizes(splits.train)
        network = network or choose_network(len(splits.train), median_side(sizes), recipe.image_size)
        network = network._replace(variant=options.shaped(network.variant))
        _check_recipe(network.variant, recipe, options)
        folder = folder or _new_folder(source, network.variant, options)
        _check_outside(folder, source)
        locked.enter_context(_lock(folder))
        splits = _check_splits(splits, recipe, options.skip_bad)
        recipe = _complete(recipe_for_labels(recipe, splits, keywords), splits, network.image_size, start)
        _log_start(network, run, recipe, splits, bool(named))
        _log_data(source, splits, recipe, sizes, wanted is not None)
        cluster = initialize()
        from resnext.training.session import train_session

        versions, images, kind = _machine(cluster), evaluation_preprocessing(recipe), labels_per_image(splits.train)
        config = RunConfig(network.variant, splits.train.classes, images, recipe, source.name, options, versions, kind)
        return train_session(folder, config, splits, workers, stop, cluster, _image_record(splits, run), None, calls)


def resume(
    folder: str | Path,
    *,
    data: Data | None = None,
    workers: int | None = None,
    device: str | None = None,
    variant: Variant | None = None,
    recipe: Recipe | None = None,
    options: TrainingOptions | None = None,
    callbacks: Sequence[Callback] = (),
    **keywords: Unpack[TrainingKeywords],
) -> TrainingResult:
    """Resume a training from its newest intact checkpoint, to the same weights as if it had never stopped.

    The weights are equal bit for bit if backend, versions and kind of machine are the same; a warning reports if not.

    Args:
        folder: run folder.
        data: current place of the images; by default the original one.
        workers: as in `train`.
        device: as in `train`.
        variant: network that the caller expects the run to have; None does not compare it.
        recipe: recipe that the caller expects; None does not compare it.
        options: options that the caller expects; None does not compare them.
        callbacks: as in `train`.
        keywords: fields of recipe and options that the caller expects, as in `train`.

    Raises:
        RunError: the folder is not a run or is in use; or its configuration, images or network differ from those of the
            checkpoint or those that the caller expects.
        DamagedCheckpointError: there are checkpoints, and none of them is intact.
        ArgumentError, DataError, ImageError, TrainingDiverged, SavingError, OutOfMemoryError, Stopped: as in `train`.

    >>> resume("runs/signs").test.top(1)  # doctest: +SKIP
    0.9912
    """
    folder = user_path(folder)
    run = Run.open(folder)
    config = run.config
    if keywords:
        recipe, options = with_keywords("resume", keywords, recipe or config.recipe, options or config.options)
    _choose_machine(device, workers)
    check_options(folder, config, variant, recipe, options)
    source = _open_again(folder, config, data)
    with stop_on_signals() as stop, watch_files(stop.fail), _lock(folder):
        stop.outcome = lambda: f"; resume with: {command_to_resume(folder)}"
        checkpoint = read_newest(folder / CHECKPOINTS) if is_main() else None
        if checkpoint:
            _check_same(folder, config, checkpoint.facts)
        images = run.images
        splits = _check_splits(splits_of_run(source, run), config.recipe, config.options.skip_bad)
        if splits.train.classes != config.classes or [*splits.held_out] != run.held_out:
            raise DataError(other_images(str(source)))
        cluster = initialize()
        from resnext.training.session import train_session

        checkpoint = _broadcast(folder / CHECKPOINTS, checkpoint, cluster)
        versions = _machine(cluster)
        if CORES not in config.versions:  # a run of an earlier version
            del versions[CORES]
        if config.versions != versions:
            then, now = _different(config.versions, versions), _different(versions, config.versions)
            differs = "results agree to about 1e-6, not bit for bit"
            _log(logging.WARNING, f"{folder}: was trained with {then} and resumes with {now}: {differs}")
        return train_session(
            folder, config, splits, workers, stop, cluster, images, checkpoint, check_callbacks(callbacks)
        )


def recipe_and_options(
    verb: str, recipe: Recipe | str | None, options: TrainingOptions | None, keywords: Mapping[str, Any]
) -> tuple[Recipe, TrainingOptions]:
    """Return recipe and options with the keywords of a verb. Raises ArgumentError."""
    options = options or TrainingOptions()
    if isinstance(recipe, str):
        recipe = get_recipe(recipe)
    recipe = recipe or default_recipe_for(keywords.get("weights", options.weights))
    words = {word: str(value) if isinstance(value, Path) else value for word, value in keywords.items()}
    changed, chosen = with_keywords(verb, words, recipe, options)
    follows = "batch_size" in keywords and "learning_rate" not in keywords
    return following_batch(changed, recipe) if follows else changed, chosen


def _check_no_run(data: Data) -> None:
    """Refuse a run folder that stands where the data belong. Raises ArgumentError."""
    if isinstance(data, str | Path) and is_run(user_path(data)):
        raise ArgumentError(
            f"{printable(data)}: a run, not data. Pass resnext train --resume {printable(data)} to go on with it, or "
            f"resnext train DATA --weights {printable(data)} to start from its weights"
        )


def _choose_start(
    variant: str | Variant | None, recipe: Recipe, weights: str | None
) -> tuple[str | None, Choice | None]:
    """Return weights and network as far as they are known without reading an image."""
    own = own_variant(recipe)
    if own and variant is None and weights is None:
        return None, _own_network(recipe, own)
    named = None if variant is None else as_variant(variant)
    start, words = choose_weights(weights, named)
    _log(logging.INFO, *words)
    if start:
        return start, network_of_weights(start, named, recipe.image_size)
    return None, Choice(named, recipe.image_size or named.image_size) if named else None


def _own_network(recipe: Recipe, name: str) -> Choice:
    variant = as_variant(name)
    return Choice(variant, recipe.image_size or variant.image_size, (f"chosen: {name}, of the recipe {recipe.name}",))


def _complete(recipe: Recipe, splits: Splits, image_size: int, start: str | None) -> CompleteRecipe:
    images, evaluated = len(splits.train), len(splits.validation)
    return complete(recipe, images=images, evaluated=evaluated, image_size=image_size, pretrained=start is not None)


def _log_start(network: Choice, run: Run | None, recipe: Recipe, splits: Splits, is_named: bool) -> None:
    """Log why the network was chosen, and how the training continues that of the run that its weights come from."""
    _log(logging.INFO, *network.reason)
    if run:
        _log(logging.WARNING, *about_weights(run, recipe))
        _log(logging.INFO, *about_start(run, recipe, splits.train.classes, is_named))


def _log_data(
    source: DataSource, splits: Splits, recipe: Recipe, sizes: Sequence[tuple[int, int]], is_tuning: bool
) -> None:
    """Log what is read as labels and classes, how images are held out, and what the user should know about them."""
    _log(logging.WARNING, *about_shapes(sizes, recipe.fit), *about_pages(splits.train, recipe.channels))
    _log(logging.INFO, *about_labels(source, splits), *splits.notes)
    _log(logging.WARNING, *about_imbalance(splits, recipe), *about_few(splits, recipe, is_tuning))
    _log(logging.WARNING, *source.left_out(), *alike(splits.train.classes))


def _image_record(splits: Splits, run: Run | None) -> ImageRecord:
    """Return the hashes of the images that a new run is evaluated on, and of those that its weights were trained on."""
    validation = tuple(sha256_of_images(splits.validation.images))
    test = () if splits.test is splits.validation else tuple(sha256_of_images(splits.test.images))
    return ImageRecord((), validation, test, tuple(sorted(run.seen.trained)) if run else ())


def _new_folder(source: DataSource, variant: Variant, options: TrainingOptions) -> Path:
    if launched():
        raise ArgumentError("`out` must be passed if several processes train: all of them need the same folder.")
    return default_folder(source, network_name(variant, options.form))


def _check_outside(folder: Path, source: DataSource) -> None:
    if source.contains(folder):
        raise RunFolderError(
            f"{folder}: lies inside {source}, where its plots would be read as training images. Choose another --out."
        )


def _log(level: int, *lines: str) -> None:
    """Log lines in the main process only."""
    for line in lines if is_main() else ():
        logger.log(level, line)


def check_options(
    folder: Path, config: RunConfig, variant: Variant | None, recipe: Recipe | None, options: TrainingOptions | None
) -> None:
    """Compare a run with the caller's expectations. Raises RunError."""
    variant = variant and config.options.shaped(variant)
    if options and options.weights:
        absolute = str(user_path(options.weights).resolve())  # the file may be gone
        same = absolute == config.options.weights
        options = dataclasses.replace(options, weights=absolute if same else choose_weights(options.weights, None)[0])
    if changed := changes(config, variant=variant, recipe=recipe, options=options):
        raise RunError(
            f"{folder}: this run was started with {'; '.join(changed)}. Leave these options out; or start a new run "
            f"from its weights: resnext train DATA --weights {quote(str(folder))}"
        )


def _open_again(folder: Path, config: RunConfig, data: Data | None) -> DataSource:
    """Open the data of a run at its original or current place."""
    if data is None and config.data == MEMORY:
        raise DataError(
            f"{folder}: its images were passed from Python; pass them again: resume({str(folder)!r}, data=...)"
        )
    if data is not None or config.data in BUILTIN or Path(config.data).exists():
        return open_source(config.data if data is None else data, config.options.follow_links)
    raise DataError(
        f"{config.data} does not exist. If the images have moved, pass their new folder: {command_to_resume(folder)} "
        "NEW-FOLDER"
    )


def _machine(cluster: Cluster) -> dict[str, str]:
    """Return what decides whether two trainings agree bit for bit."""
    return installed_versions(cluster.devices) | {CORES: str(usable_cores())}


def _lock(folder: Path) -> contextlib.AbstractContextManager[None]:
    """Lock the folder for the main process, which writes; the others only read."""
    return lock(folder) if is_main() else contextlib.nullcontext()


def _broadcast(folder: Path, checkpoint: Checkpoint | None, cluster: Cluster) -> Checkpoint | None:
    """Return in every process the checkpoint that the main process found intact."""
    facts = checkpoint.facts if checkpoint else {"step": -1, "epochs": -1}
    step, epochs = cluster.broadcast((facts["step"], facts["epochs"]))
    if cluster.is_main or step < 0:
        return checkpoint
    return read_checkpoint(folder / checkpoint_name(step, epochs))


def _check_free(folder: Path | None) -> None:
    """Refuse a folder that is in use, in the main process. Raises RunError."""
    if folder and is_main():
        check_idle(folder)
        check_unused(folder)


def _recipe_from(other: Recipe | None, recipe: Recipe, options: TrainingOptions, keywords: Mapping[str, Any]) -> Recipe:
    """Return a recipe, or another one with the same keywords, with the channels of the weights to start from."""
    if other:
        recipe, _ = recipe_and_options("train", other, options, keywords)
    return of_same_channels(recipe, options.weights, "channels" in keywords)


def _choose_machine(device: str | None, workers: int | None) -> None:
    """Choose the device, and refuse a number of workers that is none. Raises ArgumentError."""
    choose_device(device)
    if workers is not None and workers < 0:
        raise ArgumentError(f"`workers` must be at least 0. Received: {workers}")


def _check_recipe(variant: Variant, recipe: Recipe, options: TrainingOptions) -> None:
    weights = options.weights
    check_logs(options.log)
    if recipe.freeze and weights is None:
        raise ArgumentError(
            "`freeze` keeps stages as they were loaded, and no weights are loaded: pass `weights`. "
            f"Received: freeze {recipe.freeze}"
        )
    if recipe.optimizer == "lbfgs":
        _check_probe(weights)
    last = variant.stages[-1].number
    if recipe.freeze and max(recipe.freeze) > last:
        raise ArgumentError(
            f"`freeze` must be among the stages of {variant.name}, 1 to {last}. Received: {max(recipe.freeze)}"
        )
    if variant.departures.keeps_positions and recipe.test_size not in (None, recipe.image_size):
        raise ArgumentError(
            f"`test_size` must be `image_size` for {variant.name}, whose classifier has weights for each position. "
            f"Received: {recipe.test_size}"
        )
    if recipe.zero_gamma and variant.shortcut == "none":
        raise ArgumentError("`zero_gamma` must be False without shortcuts: every block would start, and stay, at zero")


def _check_probe(weights: str | None) -> None:
    if weights is None:
        raise ArgumentError(
            "a probe fits the head to features of loaded weights, and no weights are loaded: pass `weights`, such as a "
            "run or the tag of published weights"
        )
    if launched():
        raise ArgumentError("a probe is fitted in one process: start it without a launcher")
    if importlib.util.find_spec("sklearn") is None:
        raise missing_package("a probe", "scikit-learn", "datasets")


def _check_same(folder: Path, config: RunConfig, facts: dict) -> None:
    """Compare a run's configuration with the one in its checkpoint."""
    now, then = config.to_json(), RunConfig.from_json(facts["config"]).to_json()  # a newer option has its default
    pairs = [(name, then.get(name), value) for name, value in now.items() if name != "recipe"]
    pairs += [(name, then["recipe"].get(name), value) for name, value in now["recipe"].items()]
    changed = [f"{name}: {old!r} then, {value!r} now" for name, old, value in pairs if old != value]
    if changed:
        raise RunError(
            f"{folder}: its checkpoint belongs to another training ({'; '.join(changed)}). Restore its {CONFIG}."
        )


def _check_splits(splits: Splits, recipe: Recipe, skip_bad: float) -> Splits:
    """Check that every image can be read.

    Evaluation images are decoded completely, so that a bad one fails now and not after the first epoch.
    """
    parts = {part: of_channels(part, recipe.channels) for part in (splits.train, splits.validation, splits.test)}
    train, validation, test = (parts[part] for part in (splits.train, splits.validation, splits.test))
    splits = dataclasses.replace(splits, train=train, validation=validation, test=test)
    read_header, read = readers(recipe.channels)
    check_channels(splits.train, recipe.channels)
    if skip_bad:
        parts = {
            examples: drop_unreadable(examples, skip_bad, read)
            for examples in (splits.train, splits.validation, splits.test)
        }
        for _, bad in parts.values():
            _log(logging.WARNING, *(f"skipped: {reason}" for reason in bad))
        train, validation, test = (parts[part][0] for part in (splits.train, splits.validation, splits.test))
        splits = dataclasses.replace(splits, train=train, validation=validation, test=test)
    else:
        check_images(splits.train, read_header, HINT)
        for examples in dict.fromkeys((splits.validation, splits.test)):
            check_images(examples, read, HINT)
    if len(splits.train) < recipe.accumulate:
        raise DataError(f"{len(splits.train)} training images can't be accumulated in {recipe.accumulate} parts")
    return splits


def _different(versions: dict[str, str], others: dict[str, str]) -> str:
    """Return the versions that differ from others, with their names."""
    return ", ".join(f"{name} {version}" for name, version in versions.items() if others.get(name) != version)
