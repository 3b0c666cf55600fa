"""The names of the recipes, in the order of listing, and access by name."""

import importlib
from pathlib import Path
from typing import NamedTuple

from resnext.errors import ArgumentError, did_you_mean
from resnext.recipes.recipe import Published, Recipe


class Entry(NamedTuple):
    """A recipe, its title and the published runs that used it."""

    recipe: Recipe
    title: str  # the first line of its file
    published: tuple[Published, ...]
    variant: str | None  # the network that it trains by default; None: one that suits the images


# Ordered by hand from general to special.
NAMES = (
    "photos", "finetune", "probe", "smoke", "cifar-short", "paper-imagenet", "paper-cifar", "torch-imagenet",
    "torch-cifar", "seed-cifar10", "taki0112-cifar10", "torchvision-v2", "rsb-a1", "rsb-a2", "rsb-a3",
)  # fmt: skip


def get_recipe(name: str) -> Recipe:
    """Return the recipe for a name in NAMES. Raises ArgumentError for any other name.

    >>> get_recipe("paper-cifar").epochs
    300
    """
    return get_entry(name).recipe


def default_recipe(weights: str | Path | None) -> Recipe:
    """Return the default recipe for training from weights or from scratch."""
    return get_recipe("finetune" if weights else "photos")


def own_variant(recipe: Recipe) -> str | None:
    """Return the name of the network that a recipe trains by default; None: one that suits the images."""
    return get_entry(recipe.name).variant if recipe.name in NAMES else None


def get_entry(name: str) -> Entry:
    """Return the recipe as `get_recipe` does, with its title and the published runs that used it."""
    if name not in NAMES:
        raise ArgumentError(f"unknown recipe {name!r}.{did_you_mean(name, NAMES)} The recipes are {', '.join(NAMES)}")
    module = importlib.import_module(f"resnext.recipes.{name.replace('-', '_')}")
    title = (module.__doc__ or "").partition("\n")[0]  # python -OO leaves docstrings out
    return Entry(module.RECIPE, title.rstrip("."), module.PUBLISHED, getattr(module, "VARIANT", None))
