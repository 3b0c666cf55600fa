"""Train, and resume a training: recipes, train."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from tyro.conf import Positional

from resnext.cli.tables import print_table
from resnext.errors import RunError
from resnext.recipes.recipe import Dtype, Recipe
from resnext.runs.run import read_run

if TYPE_CHECKING:
    from resnext.training.session import Trained


@dataclass(frozen=True)
class Settings(Recipe):
    __doc__ = Recipe.__doc__

    name: Annotated[str, tyro.conf.arg(name="recipe", metavar="NAME", help="how to train: see `resnext recipes`.")]

    def __post_init__(self):
        """Nothing is refused here, where tyro would say it in a box: the Recipe that is made of it does."""


def recipes() -> None:
    """List the recipes: what each one is, its epochs, and the published errors of trainings with it."""
    from rich.table import Table

    from resnext.recipes.naming import NAMES, get_entry

    table = Table("recipe", "what", "epochs", "published top-1 error", box=None)
    for name in NAMES:
        entry = get_entry(name)
        known = [f"{run.top1_error} % {run.variant}, {run.data} ({run.source})" for run in entry.published] or ["-"]
        for number, run in enumerate(known):
            first = (name, entry.title, str(entry.recipe.epochs)) if number == 0 else ("", "", "")
            table.add_row(*first, run)
    print_table(table)


def train_command(recipe: Recipe) -> Callable[..., None]:
    """The command `train`, whose options for the recipe have this one's values where they are not given."""

    def train(
        data: Annotated[Positional[str], tyro.conf.arg(metavar="DATA")],
        variant: str,
        out: Path,
        settings: tyro.conf.OmitArgPrefixes[Settings] = to_settings(recipe),  # noqa: B008
        weights: str | None = None,
        seed: int = 0,
        dtype: Dtype = "float32",
        remat: tyro.conf.FlagCreatePairsOff[bool] = False,
        workers: int | None = None,
        skip_bad: tyro.conf.FlagCreatePairsOff[bool] = False,
        tensorboard: tyro.conf.FlagCreatePairsOff[bool] = False,
        checkpoint_every: int | None = None,
        resume: Annotated[Path | None, tyro.conf.arg(metavar="RUN")] = None,
    ) -> None:
        """Train a network on a folder of images, or go on: resnext train --resume RUN, alone.

        Options below "settings" are the recipe's.

        Args:
            data: a folder or tar archive train/<class>/* with test/ or val/ beside it, or <class>/*; or digits,
                cifar10 or cifar100.
            variant: the network, such as resnext50_32x4d or resnext14_8x4d (see `resnext list`).
            out: the run folder, new or empty.
            settings: of the recipe.
            weights: to start from: a file, hf:OWNER/NAME, or the tag of published weights.
            seed: of the weights, the order, the augmentation and a drawn split.
            dtype: Keras dtype policy.
            remat: take less memory and more time: the same weights.
            workers: threads that make batches ahead; by default one for each core.
            skip_bad: leave out images that can't be read, one in a thousand at most.
            tensorboard: write events for TensorBoard, too.
            checkpoint_every: steps from one checkpoint to the next; by default five minutes.
            resume: the run folder of a training that was stopped or killed: it goes on as if it never had been.
        """
        from resnext.training.train import train

        _print_trained(
            train(
                data,
                variant,
                out,
                recipe=to_recipe(settings),
                weights=weights,
                seed=seed,
                dtype=dtype,
                remat=remat,
                workers=workers,
                skip_bad=skip_bad,
                tensorboard=tensorboard,
                checkpoint_every=checkpoint_every,
            )
        )

    return train


def _print_trained(trained: Trained) -> None:
    print(f"test top-1 {100 * trained.test.top(1):.2f} % of {len(trained.test.labels)} images (last epoch)")
    print(
        f"best validation top-1 {100 * trained.best_validation_accuracy:.2f} % (epoch {trained.best_epoch}), "
        f"kept in {trained.folder}"
    )
    for picture in trained.pictures:
        print(f"picture: {picture}")
    if trained.pictures_missing:
        print(f"no pictures: {trained.pictures_missing}")


def resume_command(folder: Path) -> Callable[..., None]:
    """The command `train` where it goes on with a run: it has the run's values, and refuses others."""
    config = read_run(folder)

    def train(
        resume: Annotated[Path, tyro.conf.arg(metavar="RUN")],
        data: Annotated[Positional[str], tyro.conf.arg(metavar="DATA")] = config.data,
        variant: str = config.variant.name,
        out: Path = folder,
        settings: tyro.conf.OmitArgPrefixes[Settings] = to_settings(config.recipe),  # noqa: B008
        weights: str | None = config.weights,
        seed: int = config.seed,
        dtype: Dtype = config.dtype,  # type: ignore[assignment]
        workers: int | None = None,
    ) -> None:
        """Go on with a training that was stopped or killed, as if it never had been.

        Args:
            resume: the run folder.
            data: where the images are now.
            variant: as it was; so are all others but the last.
            out: the same folder.
            settings: of the run.
            weights: that it started from.
            seed: of the run.
            dtype: of the run.
            workers: threads that make batches ahead; by default one for each core.
        """
        from resnext.training.train import resume as go_on

        given = {"variant": variant, "out": out.resolve(), "weights": weights, "seed": seed, "dtype": dtype}
        of_run = {"variant": config.variant.name, "out": folder.resolve(), "weights": config.weights,
                  "seed": config.seed, "dtype": config.dtype}  # fmt: skip
        for field in dataclasses.fields(Recipe):
            given[field.name], of_run[field.name] = getattr(settings, field.name), getattr(config.recipe, field.name)
        changed = [f"{name}: {of_run[name]!r}, not {value!r}" for name, value in given.items() if value != of_run[name]]
        if changed:
            raise RunError(
                f"{folder}: was begun with {'; '.join(changed)}. Leave these out, or train anew into another --out."
            )
        _print_trained(go_on(folder, data=data, workers=workers))

    return train


def to_settings(recipe: Recipe) -> Settings:
    return Settings(**dataclasses.asdict(recipe))


def to_recipe(settings: Settings) -> Recipe:
    return Recipe(**dataclasses.asdict(settings))
