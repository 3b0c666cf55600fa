"""Train a network on a folder of images."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from resnext.backend import import_keras
from resnext.recipes import Recipe, changed, check_dtype, get_recipe, judged_at, trained_at
from resnext.run import (
    CLASS_ACCURACY,
    CONFUSION_MATRIX,
    EVENTS,
    LEARNING_CURVES,
    REPORT,
    WEIGHTS,
    WORST_MISTAKES,
    RunConfig,
    RunError,
    check_unused,
    create_run,
    discard_run,
)
from resnext.variants import Variant, get_variant

if TYPE_CHECKING:
    import keras

    from resnext.evaluate import Evaluation
    from resnext.model import ResNeXtModel
    from resnext.sources import Examples, Splits

JUDGED_AT_ONCE = 256  # images, at most
STATISTICS_FROM = 32  # batches, at most: of the batch norm of averaged weights


@dataclass(frozen=True, eq=False)
class Trained:
    """What a training came to."""

    folder: Path
    test: Evaluation  # of the last weights, on the test images
    best_epoch: int
    best_validation_accuracy: float
    pictures: tuple[Path, ...]  # and the page
    pictures_missing: str | None  # why there are none, or not all


def train(
    data: str | Path,
    variant: str | Variant,
    out: str | Path,
    *,
    recipe: Recipe | None = None,
    weights: str | Path | None = None,
    seed: int = 0,
    dtype: str = "float32",
    remat: bool = False,
    workers: int | None = None,
    skip_bad: bool = False,
    tensorboard: bool = False,
) -> Trained:
    """Train a network and keep everything about it in a run folder (see `resnext.run`).

    Args:
        data: a folder or tar archive `train/<class>/*` with `test/` or `val/` beside it, or `<class>/*`; or one of the
            words `digits`, `cifar10`, `cifar100`.
        variant: a name such as `"resnext50_32x4d"`, or a `Variant`.
        out: the run folder, new or empty.
        recipe: how to train, `get_recipe("photos")` by default; `dataclasses.replace` changes any field.
        weights: to start from, as `ResNeXt` takes them; None starts from random ones.
        seed: of the initial weights, the order of the images, the augmentation, and a drawn split.
        dtype: a Keras dtype policy, such as "mixed_bfloat16".
        remat: keep less in memory and compute the blocks twice: the same weights, slower.
        workers: threads that make batches ahead; by default one for each core. The batches are the same.
        skip_bad: read every image before training and leave out those that can't be read, one in a thousand at most.
        tensorboard: write events for TensorBoard, too.

    Raises:
        ValueError, RunError, DataError, WeightsError: before anything is written.
        ImageError, TrainingDiverged: the run folder keeps the epochs that were finished.

    >>> train("sign-digits", "resnext14_8x4d", "runs/signs").test.top(1)  # doctest: +SKIP
    0.9912
    """
    from resnext.sources import load_splits, source_name
    from resnext.words import local_copy

    # What can be refused is refused before Keras is imported: that takes seconds.
    folder = Path(out)
    variant = get_variant(variant) if isinstance(variant, str) else variant
    recipe = recipe or get_recipe("photos")
    recipe = dataclasses.replace(recipe, image_size=recipe.image_size or variant.image_size)
    preprocessing = judged_at(recipe)
    check_dtype(dtype)
    _check_numbers(seed, workers)
    check_unused(folder)
    if folder.resolve().is_relative_to(Path(local_copy(str(data)) or source_name(data)).resolve()):
        raise RunError(f"{folder}: lies in {data}, where its pictures would be taken for data. Choose another --out.")
    splits = _checked(load_splits(data, seed), recipe, skip_bad)

    import_keras()
    import keras

    from resnext.model import keras_config

    config = RunConfig(
        variant,
        splits.train.classes,
        preprocessing,
        recipe,
        source_name(data),
        seed,
        dtype,
        None if weights is None else str(weights),
        _versions(keras.backend.backend()),
    )
    keras.utils.set_random_seed(seed)
    with keras_config(dtype, "channels_last"):
        return _fit(folder, config, splits, remat, workers, tensorboard)


def _check_numbers(seed: int, workers: int | None) -> None:
    if not 0 <= seed < 2**32:
        raise ValueError(f"`seed` must be from 0 to {2**32 - 1}. Received: {seed}")
    if workers is not None and workers < 0:
        raise ValueError(f"`workers` must be at least 0. Received: {workers}")


def _checked(splits: Splits, recipe: Recipe, skip_bad: bool) -> Splits:
    """The splits with images that can be read. Judging ones are read whole: else it would show after an epoch only."""
    from resnext.preprocessing import read_image
    from resnext.sources import DataError, check_images, readable

    if skip_bad:
        train, bad = readable(splits.train)
        for reason in bad:
            print(f"skipped: {reason}", file=sys.stderr)
        splits = dataclasses.replace(splits, train=train)
    else:
        check_images(splits.train)
    for examples in dict.fromkeys((splits.validation, splits.test)):
        check_images(examples, read_image)
    if len(splits.train) < recipe.accumulate:
        raise DataError(f"{len(splits.train)} training images can't be accumulated in {recipe.accumulate} parts")
    return splits


def _fit(folder: Path, config: RunConfig, splits: Splits, remat: bool, workers, tensorboard: bool) -> Trained:
    from rich.console import Console

    from resnext.averaging import averaged_weights
    from resnext.callbacks import KeepRun, ShowProgress, WriteEvents
    from resnext.evaluate import judge
    from resnext.model import image_classifier
    from resnext.pipeline import images_per_step, steps_per_epoch, training_batches
    from resnext.remat import recompute
    from resnext.weights import load_weights

    recipe, preprocessing = config.recipe, config.preprocessing
    network = _network(config)
    classifier = image_classifier(recompute(network) if remat else network, trained_at(recipe))
    judged = classifier if preprocessing.size == recipe.image_size else image_classifier(network, preprocessing)
    steps = steps_per_epoch(splits.train, recipe)
    _compile(classifier, network, recipe, steps)
    batches = partial(training_batches, splits.train, recipe, trained_at(recipe), config.seed, workers)

    def judged_on(examples: Examples) -> Evaluation:
        return judge(judged, examples, preprocessing, min(JUDGED_AT_ONCE, recipe.batch_size))

    def averaged(model: keras.Model) -> contextlib.AbstractContextManager:
        images = (images for images, _ in batches())
        return averaged_weights(model, images, min(steps, STATISTICS_FROM)) if recipe.ema else contextlib.nullcontext()

    at_once = images_per_step(splits.train, recipe) // recipe.accumulate
    keep = KeepRun(folder, network, partial(judged_on, splits.validation), averaged, at_once)
    progress = ShowProgress(Console(stderr=True), at_once)
    values = ", ".join(f"{name} {value}" for name, value in changed(recipe).items())
    print(f"recipe {recipe.name}: {values}", file=sys.stderr)
    failures: list[Exception] = []
    made = create_run(folder, config, splits.held_out)
    try:
        classifier.fit(
            _remembering(batches(), failures),  # Keras knows generators, not grain's iterators
            steps_per_epoch=steps,
            epochs=recipe.epochs,
            callbacks=[keep, progress, *([WriteEvents(folder / EVENTS)] if tensorboard else [])],
            shuffle=False,  # the batches are shuffled already
            verbose=0,
        )
    except BaseException:
        if not keep.rows:
            discard_run(made)
        if failures:
            raise failures[0] from None
        raise
    finally:
        progress.bar.stop()  # also when training fails: it gives the terminal its cursor back
    load_weights(network, folder / WEIGHTS["last"])  # the average, where the recipe keeps one
    test = judged_on(splits.test)
    best = max(keep.rows, key=lambda row: row["validation_accuracy"])
    pictures, missing = _draw(folder, config, keep.rows, test, splits.test)
    return Trained(folder, test, int(best["epoch"]), best["validation_accuracy"], pictures, missing)


def _network(config: RunConfig) -> ResNeXtModel:
    """The network to train: with the recipe's start, its loaded weights and its frozen stages."""
    from resnext.features import freeze
    from resnext.model import image_network

    recipe, variant = config.recipe, config.variant
    variant = dataclasses.replace(
        variant,
        drop_path=recipe.drop_path or variant.drop_path,
        last_gamma=0.0 if recipe.zero_gamma else variant.last_gamma,
    )
    network = image_network(variant, len(config.classes), config.preprocessing, config.weights, recipe.image_size)
    return freeze(network, recipe.freeze)


def _remembering(batches, failures: list[Exception]):
    """The batches; an error on the way is kept, for TensorFlow hands on only its text."""
    try:
        yield from batches
    except Exception as error:
        failures.append(error)
        raise


def _compile(classifier: keras.Model, network: keras.Model, recipe: Recipe, steps_per_epoch: int) -> None:
    import keras

    binary = keras.losses.BinaryCrossentropy(from_logits=True)
    loss = binary if recipe.loss == "binary" else keras.losses.CategoricalCrossentropy(from_logits=True)
    optimizer = _optimizer(recipe, learning_rates(recipe, steps_per_epoch), network)
    classifier.compile(optimizer, loss, metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")])


def learning_rates(recipe: Recipe, steps_per_epoch: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """The learning rate of every batch, where an epoch has so many."""
    from keras.optimizers import schedules

    if recipe.schedule == "steps":
        starts = [round(share * recipe.epochs) * steps_per_epoch for share, _ in recipe.steps]
        factors = [1.0, *(factor for _, factor in recipe.steps)]
        # Keras changes the rate after its boundary, we at the first batch of an epoch.
        boundaries = [start - 1 for start in starts]
        return schedules.PiecewiseConstantDecay(boundaries, [recipe.learning_rate * factor for factor in factors])
    warmup = min(recipe.warmup_epochs, recipe.epochs // 2) * steps_per_epoch
    return schedules.CosineDecay(
        initial_learning_rate=recipe.learning_rate * (recipe.warmup_start if warmup else 1.0),
        decay_steps=recipe.epochs * steps_per_epoch - warmup,
        alpha=recipe.final_rate / recipe.learning_rate,
        warmup_target=recipe.learning_rate if warmup else None,
        warmup_steps=warmup,
    )


def _optimizer(recipe: Recipe, rates, network: keras.Model) -> keras.optimizers.Optimizer:
    from resnext import optimizers

    kinds = {
        "sgd": partial(optimizers.SGD, momentum=recipe.momentum, nesterov=recipe.nesterov),
        "adamw": optimizers.AdamW,
        "lamb": optimizers.Lamb,
    }
    return kinds[recipe.optimizer](
        rates,
        weight_decay=recipe.weight_decay,
        spared=() if recipe.decay_all else optimizers.NORMS_AND_BIASES,
        rates=optimizers.layer_rates(network, recipe.layer_decay) if recipe.layer_decay < 1 else None,
        global_clipnorm=recipe.clip_norm,
        gradient_accumulation_steps=recipe.accumulate if recipe.accumulate > 1 else None,
        use_ema=bool(recipe.ema),
        ema_momentum=recipe.ema,
    )


def _draw(
    folder: Path, config: RunConfig, rows: list[dict[str, float]], test: Evaluation, examples: Examples
) -> tuple[tuple[Path, ...], str | None]:
    """The pictures and the page of a run, and why there are no pictures. Nothing here costs the result."""
    from resnext import pictures
    from resnext.pipeline import read_image_of
    from resnext.report import write_report

    image = partial(read_image_of, examples, config.preprocessing)
    drawn, missing = {}, None
    try:
        for title, name, draw in (
            ("Learning curves", LEARNING_CURVES, partial(pictures.draw_learning_curves, rows)),
            ("Confusion matrix", CONFUSION_MATRIX, partial(pictures.draw_confusion_matrix, test)),
            ("Accuracy of each class", CLASS_ACCURACY, partial(pictures.draw_class_accuracy, test)),
            ("Worst mistakes", WORST_MISTAKES, partial(pictures.draw_worst_mistakes, test, image)),
        ):
            draw(folder / name)
            drawn[title] = folder / name
        write_report(folder / REPORT, config, rows, test, drawn)
    except Exception as error:  # whatever it is, the test result is worth more
        missing = str(error)
        with contextlib.suppress(Exception):
            write_report(folder / REPORT, config, rows, test, drawn, missing)
    return tuple(path for path in (*drawn.values(), folder / REPORT) if path.exists()), missing


def _versions(backend: str) -> dict[str, str]:
    packages = {"tensorflow": ("tensorflow", "tensorflow-cpu"), "jax": ("jax",), "torch": ("torch",)}
    installed = {}
    for package in ("resnext", "keras", "numpy", "pillow", *packages.get(backend, ())):
        try:
            installed[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {"backend": backend, **installed}
