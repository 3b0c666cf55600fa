"""Notes printed before a training starts: remarks on its images, and a summary of network, data and device."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from resnext.backend import describe_device
from resnext.data.batches import images_per_step
from resnext.data.examples import Examples, median_aspect
from resnext.data.pixels import are_files
from resnext.errors import ImageError, counted, listed
from resnext.images.bands import pages_of
from resnext.images.preprocessing import Channels, are_channels
from resnext.metrics.remarks import imbalance
from resnext.recipes.complete import CompleteRecipe, following_batch
from resnext.recipes.names import NAMES, get_recipe
from resnext.recipes.recipe import Recipe, changed
from resnext.runs.config import RunConfig, changes
from resnext.runs.run import Run

if TYPE_CHECKING:
    import keras

    from resnext.data.source import DataSource
    from resnext.data.splits import Splits

LONG = 1.5  # longer side divided by the shorter one, as in 3:2 photos
FEW_TO_LEARN = 10  # images of a class
FEW_TO_EVALUATE = 50  # images


def about_shapes(sizes: Sequence[tuple[int, int]], fit: str) -> list[str]:
    """Return a note about long images, of which a centre crop keeps too little."""
    aspect = median_aspect(sizes)
    if fit != "crop" or aspect <= LONG:
        return []
    return [
        f"long images: half of them are at least {aspect:.1f} times as long as wide, and only their centre is "
        "evaluated; --fit squash or --fit pad keeps them complete"
    ]


def about_pages(examples: Examples, channels: Channels) -> list[str]:
    """Return a note about TIFF files of which only the first page is read; the first file of several stands for all."""
    if isinstance(channels, int) or not are_files(examples.images):
        return []
    tiff = next((image for image in examples.images if str(image).lower().endswith((".tif", ".tiff"))), None)
    with contextlib.suppress(ImageError):  # others report it
        if tiff is not None and (pages := pages_of(tiff)) > 1:
            way = f"; --channels {pages} trains on all of them" if are_channels(pages) else ""
            return [f"{tiff} has {pages} pages, of which only the first is read{way}"]
    return []


def about_imbalance(splits: Splits, recipe: Recipe) -> list[str]:
    """Return a note about classes of very different sizes, unless the recipe makes up for them."""
    words = imbalance(splits.train.classes, splits.train.counts())
    if words and splits.train.several:
        return [f"{words}, to train on; --best-by macro_f1 counts all classes equally"]
    if words is None or recipe.class_weights or recipe.sampling == "balanced":
        return []
    return [f"{words}, to train on; --class-weights 1 weighs them equally, and --best-by macro_f1 compares epochs so"]


def about_few(splits: Splits, recipe: Recipe, is_tuning: bool) -> list[str]:
    """Return notes about a set that is too small to learn from, or to evaluate on.

    Args:
        splits: images of the training.
        recipe: its recipe.
        is_tuning: whether weights to start from were requested.
    """
    lines, train, validation = [], splits.train, splits.validation
    counts = train.counts()
    if few := int((counts < FEW_TO_LEARN).sum()):
        advice = "add photos, or start from published weights (--weights auto)"
        if is_tuning:
            is_probe = recipe.optimizer == "lbfgs"
            advice = "add photos" if is_probe else "add photos, or train only the head, in a pass (--recipe probe)"
        lines.append(
            f"few images: fewer than {FEW_TO_LEARN} to train on for {few:,} of {len(counts):,} classes, the fewest "
            f"{train.classes[counts.argmin()]!r} with {counts.min()}; {advice}"
        )
    if len(validation) < FEW_TO_EVALUATE:
        lines.append(
            f"few images: {len(validation)} to evaluate on, so one of them is {100 / len(validation):.1f} points of "
            "accuracy"
        )
    without = np.flatnonzero(validation.counts() == 0)
    if len(without):
        lines.append(
            f"few images: none to evaluate on for {len(without):,} of {len(counts):,} classes, the first "
            f"{validation.classes[without[0]]!r}"
        )
    return lines


def about_labels(source: DataSource, splits: Splits) -> list[str]:
    """Return lines: where the labels come from, the names of the classes, ten at most, and the share of the largest."""
    classes, counts = splits.train.classes, splits.validation.counts()
    lines = [f"labels: {source.labels_from}", *source.about_labels, f"classes: {listed(classes)}"]
    if splits.train.several:
        lines += _about_none(splits)
        each = counts.sum() / len(splits.validation)
        most = classes[counts.argmax()]
        return [*lines, f"an image to evaluate on has {each:.2f} labels in the mean, most often {most!r}"]
    share = f"{100 * counts.max() / len(splits.validation):.2f} % of the images to evaluate on"
    return [*lines, f"always answering {classes[counts.argmax()]!r}, the largest class, would be right for {share}"]


def _about_none(splits: Splits) -> list[str]:
    """Return a line on the images that have none of the classes, if there are some."""
    parts = dict.fromkeys((splits.train, splits.validation, splits.test))
    without = sum(int((~part.has().any(axis=1)).sum()) for part in parts)
    return [f"labels: {without:,} of {sum(map(len, parts)):,} images have none of the classes"] if without else []


def about_weights(run: Run, recipe: Recipe) -> list[str]:
    """Return notes about the run that the weights come from: the record of its images, and how it fits images."""
    lines = []
    if run.config.preprocessing.fit != recipe.fit:
        fit = run.config.preprocessing.fit
        lines.append(f"weights: trained with --fit {fit}, but this run uses --fit {recipe.fit}")
    if (unknown := run.images_without_hash) != 0:
        what = "no record" if unknown is None else f"no record of {unknown:,}"
        lines.append(
            f"weights: {run.folder} has {what} of the images that it was trained on, so that some of them may be among "
            "those that are held out now"
        )
    return lines


def about_start(run: Run, recipe: Recipe, classes: Sequence[str], is_named: bool = False) -> list[str]:
    """Return lines that state how the training continues that of the run that its weights come from.

    Args:
        run: run of the weights.
        recipe: recipe of the training.
        classes: its classes.
        is_named: whether the user chose the recipe.
    """
    before, name = run.config.classes, run.config.recipe.name
    new, gone = [each for each in classes if each not in before], [each for each in before if each not in classes]
    if new or gone:
        words = [f"{word} {listed(names)}" for word, names in (("new:", new), ("gone:", gone)) if names]
        why = "" if is_named else f"the recipe is {recipe.name}, because "
        lines = [f"weights: {why}the classes are not those of {run.folder}; {'; '.join(words)}"]
    elif recipe.name == name:
        lines = [f"weights: {run.folder} is continued by its own recipe, {name}, because its classes are the same"]
    else:
        lines = []
    differs = changes(run.config, recipe=recipe)
    return lines + ([f"weights: their run was trained with {'; '.join(differs)}"] if differs else [])


def summary(config: RunConfig, splits: Splits, network: keras.Model) -> Iterator[str]:
    """Yield the lines of the summary.

    Args:
        config: configuration of the run.
        splits: its images.
        network: its network, with any frozen stages.
    """
    recipe, train, parameters = config.recipe, splits.train, config.cost.parameters
    per_step = images_per_step(train, recipe)
    steps, rest = divmod(len(train), per_step)
    yield f"device: {describe_device()}"
    evaluated = f"{len(splits.validation):,} to evaluate on"
    if splits.validation is not splits.test:
        evaluated = f"{len(splits.validation):,} to validate on, {len(splits.test):,} to test on"
    yield f"data: {counted(len(train), 'image')} of {len(config.classes):,} classes to train on, {evaluated}"
    yield f"network: {config.network} at {recipe.image_size} pixels, {parameters:,} parameters, {config.options.dtype}"
    if config.options.weights:
        yield f"weights: {config.options.weights}"
    values = ", ".join(f"{name} {value}" for name, value in changed(recipe).items())
    yield f"recipe {recipe.name}: {values}"
    left_out = f"; each epoch leaves out {counted(rest, 'image')}, different ones each time" if rest else ""
    if recipe.optimizer == "lbfgs":
        yield "only the head is trained: logistic regression on the features of all images, which are computed once"
        return
    yield f"steps: {recipe.epochs * steps:,} of {counted(per_step, 'image')} each, {steps:,} in each epoch{left_out}"
    yield from _about_rate(recipe)
    stride = config.variant.stages[-1].output_stride
    if recipe.image_size < stride and not config.variant.lineage:  # they were made for such images
        yield (
            f"images of {recipe.image_size} pixels are smaller than the {stride} that one value of the last stage "
            "stands for; use a larger --image-size, or a variant for small images, such as resnext11_4x4d"
        )
    if recipe.freeze:
        trained = sum(math.prod(variable.shape) for variable in network.trainable_variables)
        stages = f"stage{'s' if len(recipe.freeze) > 1 else ''} {', '.join(map(str, recipe.freeze))}"
        yield f"frozen: {stages}, with statistics; {trained:,} of {parameters:,} parameters are trained"


def _about_rate(recipe: CompleteRecipe) -> Iterator[str]:
    """Yield a note if a published recipe's learning rate follows another batch size, or does not."""
    own = get_recipe(recipe.name) if recipe.name in NAMES else None
    if not (own and own.batch_size and own.learning_rate):
        return
    if own.batch_size == recipe.batch_size:
        return
    followed = following_batch(recipe, own).learning_rate
    how = "in proportion" if recipe.optimizer == "sgd" else "by the root"
    of_recipe = f"that of {own.name}, {own.learning_rate:g} for batches of {own.batch_size:,}"
    if recipe.learning_rate == followed:
        yield f"learning rate: {followed:g}, which is {of_recipe}, {how} for {recipe.batch_size:,}"
    elif recipe.learning_rate == own.learning_rate:
        yield f"learning rate: {of_recipe}; for {recipe.batch_size:,}, {how}, it would be {followed:.2g}"
