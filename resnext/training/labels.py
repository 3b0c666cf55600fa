"""The recipe for the kind of labels that the images have: one class each, any number of classes, or shares."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

import numpy as np

from resnext.data.examples import Examples
from resnext.data.splits import Splits
from resnext.errors import ArgumentError, DataError
from resnext.recipes.recipe import Recipe
from resnext.runs.config import Labels

OF_SEVERAL = ("map", "micro_f1", "macro_f1", "log_loss")  # metrics that choose the best epoch
OF_ONE = ("top1", "macro_f1", "balanced_accuracy", "log_loss", "auc")


def labels_per_image(examples: Examples) -> Labels:
    """Return "several" if an image may have any number of classes, else "one"."""
    return "several" if examples.several else "one"


def recipe_for_labels(recipe: Recipe, splits: Splits, given: Collection[str]) -> Recipe:
    """Return a recipe with the loss and the metric of the best epoch that suit the labels.

    Several labels are trained by one binary cross-entropy for each class, and compared by mAP.

    Args:
        recipe: recipe as it was chosen.
        splits: images of the training.
        given: fields of the recipe that the user has set.

    Raises:
        ArgumentError: a field that the user has set does not fit several labels.
        DataError: the metric of the best epoch does not exist for these images.
    """
    train = splits.train
    if train.shares is not None and recipe.optimizer == "lbfgs":
        raise ArgumentError(
            "a probe fits one class for each image. Choose another recipe for several labels, or shares."
        )
    if not train.several:
        if recipe.best_by not in OF_ONE and "best_by" not in given:
            recipe = dataclasses.replace(recipe, best_by="top1")
        _check_best_by(recipe, splits)
        return recipe
    loss = "binary" if "loss" not in given else recipe.loss
    unfit = {
        "loss": loss != "binary",
        "class_weights": bool(recipe.class_weights),
        "sampling": recipe.sampling == "balanced",
        "best_by": "best_by" in given and recipe.best_by not in OF_SEVERAL,
    }
    for name, is_unfit in unfit.items():
        if is_unfit:
            raise ArgumentError(f"`{name}` {getattr(recipe, name)} is for one label an image. {_INSTEAD[name]}")
    best_by = recipe.best_by if recipe.best_by in OF_SEVERAL else "map"
    return dataclasses.replace(recipe, loss=loss, best_by=best_by)


_INSTEAD = {
    "loss": "Leave it out: several labels have the binary loss.",
    "class_weights": "For rare labels, use `focal` 2 and `best_by` macro_f1.",
    "sampling": "For rare labels, use `focal` 2 and `best_by` macro_f1.",
    "best_by": f"Several labels are compared by one of {', '.join(OF_SEVERAL)}.",
}


def _check_best_by(recipe: Recipe, splits: Splits) -> None:
    """Raise DataError if the metric of the best epoch does not exist for images of one label."""
    classes, shown = splits.train.classes, int(np.count_nonzero(splits.validation.counts()))
    if recipe.best_by == "auc" and not len(classes) == shown == 2:
        raise DataError(
            f"--best-by auc needs two classes that both have images to evaluate on; here are {len(classes):,} classes, "
            f"{shown:,} of them with images. Pass another metric, such as macro_f1"
        )
    if recipe.best_by not in OF_ONE:
        raise DataError(
            f"--best-by {recipe.best_by} is for several labels an image, and these images have one. Pass one of "
            f"{', '.join(OF_ONE)}"
        )
