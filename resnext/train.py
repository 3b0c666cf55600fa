"""Train a network on a folder of images."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from resnext.backend import import_keras
from resnext.recipes import RECIPES, Recipe, check_dtype
from resnext.run import CONFUSION_MATRIX, LEARNING_CURVES, RunConfig, RunError, check_unused, create_run, discard_run

if TYPE_CHECKING:
    import keras

    from resnext.evaluate import Evaluation
    from resnext.preprocessing import Preprocessing
    from resnext.sources import Splits


@dataclass(frozen=True, eq=False)
class Trained:
    """What a training came to."""

    folder: Path
    test: Evaluation  # of the last weights, on the test images
    best_epoch: int
    best_validation_accuracy: float
    pictures: tuple[Path, ...]
    pictures_missing: str | None  # why there are none


def train(
    data: str | Path,
    variant: str,
    out: str | Path,
    *,
    recipe: Recipe = RECIPES["photos"],
    image_size: int | None = None,
    seed: int = 0,
    dtype: str = "float32",
    remat: bool = False,
) -> Trained:
    """Train a new network and keep everything about it in a run folder (see `resnext.run`).

    Args:
        data: a folder `train/<class>/*` with `test/` or `val/` beside it, or `<class>/*`; or the word `digits`.
        variant: a name such as `"resnext50_32x4d"`.
        out: the run folder, new or empty.
        recipe: how to train; `dataclasses.replace` changes any field.
        image_size: side in pixels of the square that the network sees; by default the variant's published size.
        seed: of the initial weights, the order of the images, the augmentation, and a drawn split.
        dtype: a Keras dtype policy, such as "mixed_bfloat16".
        remat: keep less in memory and compute the blocks twice: the same weights, slower.

    Raises:
        ValueError, RunError, DataError: before anything is written.
        ImageError, TrainingDiverged: the run folder keeps the epochs that were finished.

    >>> train("sign-digits", "resnext14_8x4d", "runs/signs").test.top(1)  # doctest: +SKIP
    0.9853
    """
    from resnext.preprocessing import Preprocessing, read_image
    from resnext.sources import check_images, load_splits, source_name
    from resnext.variants import get_variant

    # What can be refused is refused before Keras is imported: that takes seconds.
    folder = Path(out)
    size = get_variant(variant).image_size if image_size is None else image_size
    check_dtype(dtype)
    if not 0 <= seed < 2**32:
        raise ValueError(f"`seed` must be from 0 to {2**32 - 1}. Received: {seed}")
    check_unused(folder)
    if folder.resolve().is_relative_to(source_name(data)):
        raise RunError(f"{folder}: lies in {data}, where its pictures would be taken for data. Choose another --out.")
    preprocessing = Preprocessing(size=size, resize=size)
    splits = load_splits(data, seed)
    check_images(splits.train)
    for examples in dict.fromkeys((splits.validation, splits.test)):
        check_images(examples, read_image)  # or a damaged one would be found after an epoch, or after the last

    import_keras()
    import keras

    from resnext.model import keras_config

    versions = _versions(keras.backend.backend())
    config = RunConfig(variant, splits.train.classes, preprocessing, recipe, source_name(data), seed, dtype, versions)
    keras.utils.set_random_seed(seed)
    with keras_config(dtype, "channels_last"):
        return _fit(folder, config, splits, remat)


def _fit(folder: Path, config: RunConfig, splits: Splits, remat: bool) -> Trained:
    from rich.console import Console

    from resnext.callbacks import KeepRun, ShowProgress
    from resnext.evaluate import judge
    from resnext.model import image_classifier, image_network
    from resnext.pipeline import images_per_step, steps_per_epoch, training_batches
    from resnext.remat import recompute

    recipe, preprocessing = config.recipe, config.preprocessing
    network = image_network(config.variant, len(config.classes), preprocessing)
    classifier = image_classifier(recompute(network) if remat else network, preprocessing)
    steps = steps_per_epoch(splits.train, recipe.batch_size)
    _compile(classifier, recipe, steps)
    augmentations = _augmentations(recipe, preprocessing)
    batches = training_batches(splits.train, preprocessing, augmentations, recipe.batch_size, config.seed)
    keep = KeepRun(
        folder,
        network,
        partial(judge, examples=splits.validation, preprocessing=preprocessing, batch_size=recipe.batch_size),
    )
    progress = ShowProgress(Console(stderr=True), images_per_step(splits.train, recipe.batch_size))
    failures: list[Exception] = []
    made = create_run(folder, config, splits.held_out)
    try:
        classifier.fit(
            _remembering(batches, failures),  # Keras knows generators, not grain's iterators
            steps_per_epoch=steps,
            epochs=recipe.epochs,
            callbacks=[keep, progress],
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
    test = judge(classifier, splits.test, preprocessing, recipe.batch_size)
    best = max(keep.rows, key=lambda row: row["validation_accuracy"])
    pictures, missing = _draw(folder, keep.rows, test)
    return Trained(folder, test, int(best["epoch"]), best["validation_accuracy"], pictures, missing)


def _remembering(batches, failures: list[Exception]):
    """The batches; an error on the way is kept, for TensorFlow hands on only its text."""
    try:
        yield from batches
    except Exception as error:
        failures.append(error)
        raise


def _compile(classifier: keras.Model, recipe: Recipe, steps_per_epoch: int) -> None:
    import keras

    warmup = min(recipe.warmup_epochs, recipe.epochs // 2) * steps_per_epoch
    optimizer = keras.optimizers.SGD(
        keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0 if warmup else recipe.learning_rate,
            decay_steps=recipe.epochs * steps_per_epoch - warmup,
            warmup_target=recipe.learning_rate if warmup else None,
            warmup_steps=warmup,
        ),
        momentum=recipe.momentum,
        nesterov=True,
        weight_decay=recipe.weight_decay or None,
    )
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    classifier.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])


def _augmentations(recipe: Recipe, preprocessing: Preprocessing) -> list:
    from resnext.augment import flip, pad_and_crop

    red, green, blue = (round(255 * mean) for mean in preprocessing.mean)
    pad = round(recipe.pad * preprocessing.size)
    augmentations = []
    if pad:
        augmentations.append(lambda image, rng: pad_and_crop(image, pad, (red, green, blue), rng))
    if recipe.flip:
        augmentations.append(flip)
    return augmentations


def _draw(folder: Path, rows: list[dict[str, float]], test: Evaluation) -> tuple[tuple[Path, ...], str | None]:
    from resnext.report import draw_confusion_matrix, draw_learning_curves

    curves, confusion = folder / LEARNING_CURVES, folder / CONFUSION_MATRIX
    try:
        draw_learning_curves(rows, curves)
        draw_confusion_matrix(test, confusion)
    except Exception as error:  # whatever it is, the test result is worth more
        return (), str(error)
    return (curves, confusion), None


def _versions(backend: str) -> dict[str, str]:
    packages = {"tensorflow": ("tensorflow", "tensorflow-cpu"), "jax": ("jax",), "torch": ("torch",)}
    installed = {}
    for package in ("resnext", "keras", "numpy", "pillow", *packages.get(backend, ())):
        try:
            installed[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {"backend": backend, **installed}
