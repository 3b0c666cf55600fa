"""Train, and resume a training: recipes, train."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import tyro
from tyro.conf import Positional

from resnext.cli.documents import document_of_run
from resnext.cli.options import Unchecked, checked
from resnext.cli.output import Format, printed
from resnext.cli.tables import print_line, print_table
from resnext.distributed import is_main
from resnext.errors import ArgumentError, counted
from resnext.files import user_path
from resnext.recipes.recipe import Recipe
from resnext.runs.config import TrainingOptions
from resnext.runs.run import REPORT, Run
from resnext.variants.names import get_variant

if TYPE_CHECKING:
    from resnext.training.cross_validation import CrossValidation
    from resnext.training.session import TrainingResult


@dataclass(frozen=True)
class Settings(Unchecked, Recipe):
    __doc__ = Recipe.__doc__

    name: Annotated[str, tyro.conf.arg(name="recipe", metavar="NAME", help="training recipe; see `resnext recipes`.")]


@dataclass(frozen=True)
class Options(Unchecked, TrainingOptions):
    __doc__ = TrainingOptions.__doc__


RunGroup: TypeAlias = tyro.conf.FlagCreatePairsOff[tyro.conf.OmitArgPrefixes[Options]]
RecipeGroup: TypeAlias = tyro.conf.OmitArgPrefixes[Settings]


def recipes(format: Format = "table") -> None:
    """List the recipes: title, epochs, and the published errors of trainings with each.

    Args:
        format: form of what is printed: table, json or csv.
    """
    from rich.table import Table

    from resnext.recipes.names import NAMES, get_entry

    found = [
        {
            "recipe": name,
            "title": get_entry(name).title,
            "epochs": get_entry(name).recipe.epochs,
            "published": [run._asdict() for run in get_entry(name).published],
        }
        for name in NAMES
    ]
    if printed(format, {"recipes": found}, "recipes"):
        return
    table = Table("recipe", "what", "epochs", "published top-1 error", box=None)
    for name in NAMES:
        entry = get_entry(name)
        known = [f"{run.top1_error} % {run.variant}, {run.data} ({run.source})" for run in entry.published] or ["-"]
        for number, run in enumerate(known):
            first = (name, entry.title, str(entry.recipe.epochs or "by images")) if number == 0 else ("", "", "")
            table.add_row(*first, run)
    print_table(table)


def train_command(defaults: Recipe, is_named: bool, passed: Sequence[str] = ()) -> Callable[..., None]:
    """Return the command `train`, whose options default to the values of the recipe.

    What differs from it is passed on as keywords: unless the recipe was named, the data has a say in which it is.

    Args:
        defaults: recipe whose values the options have.
        is_named: whether the user named it.
        passed: settings that the user passed, even if with the same value.
    """

    def train(
        data: Annotated[Positional[str], tyro.conf.arg(metavar="DATA")],
        variant: str | None = None,
        out: Path | None = None,
        run: RunGroup = Options(),
        recipe: RecipeGroup = to_settings(defaults),  # noqa: B008
        workers: int | None = None,
        device: str | None = None,
        resume: Annotated[Path | None, tyro.conf.arg(metavar="RUN")] = None,
        like: Annotated[Path | None, tyro.conf.arg(metavar="RUN")] = None,
        format: Format = "table",
    ) -> None:
        """Train a network on a folder of images, or resume a training: resnext train --resume RUN.

        Args:
            data: folder or archive (train/<class>/* with test/ or val/, or <class>/*), CSV file, digits or cifar10.
            variant: network (see `resnext list`); by default that of the weights or of the recipe, or one that suits
                the images.
            out: run folder, new or empty; by default runs/DATA-VARIANT-N.
            run: options of the run.
            recipe: settings of the recipe.
            workers: threads that make batches ahead; by default one for each core, at most 8.
            device: cpu, gpu or gpu:N; by default a GPU if the backend finds one.
            resume: run folder of a training that was stopped or killed.
            like: run whose data, network and options are taken where no others are passed.
            format: form of what is printed at the end: table, json or csv.
        """
        from resnext.training.cross_validation import cross_validate
        from resnext.training.train import train

        options = checked(TrainingOptions, run)
        settings, before = dataclasses.asdict(to_recipe(recipe)), dataclasses.asdict(defaults)
        keywords = {name: value for name, value in settings.items() if name in passed or value != before[name]}
        chosen = defaults if is_named else None
        keywords |= {"recipe": chosen, "options": options, "workers": workers, "device": device}
        if options.folds and options.fold is None:
            _print_folds(cross_validate(data, variant, out, **keywords), format)
        else:
            _print_result(train(data, variant, out, **keywords), format)

    return train


def resume_command(folder: Path) -> Callable[..., None]:
    """Return the command `train` for resuming a run: its options default to the run's and must not differ."""
    opened = Run.open(folder)
    config = opened.config

    def train(
        resume: Annotated[Path, tyro.conf.arg(metavar="RUN")],
        data: Annotated[Positional[str], tyro.conf.arg(metavar="DATA")] = config.data,
        variant: str = config.variant.name,
        out: Path = folder,
        run: tyro.conf.OmitArgPrefixes[Options] = Options(**vars(config.options)),  # noqa: B008 - --remat and --no-remat
        recipe: RecipeGroup = to_settings(config.recipe),  # noqa: B008
        workers: int | None = None,
        device: str | None = None,
        format: Format = "table",
    ) -> None:
        """Resume a training that was stopped or killed, to the same weights as if it had never stopped.

        Args:
            resume: run folder.
            data: current place of the images, if they were moved.
            variant: network of the run; like every option except --workers and --device, it may be repeated unchanged.
            out: the same folder.
            run: options of the run.
            recipe: settings of its recipe.
            workers: threads that make batches ahead; by default one for each core, at most 8.
            device: cpu, gpu or gpu:N; by default a GPU if the backend finds one.
            format: form of what is printed at the end: table, json or csv.
        """
        from resnext.training.train import check_options
        from resnext.training.train import resume as resume_training

        if user_path(out).resolve() != folder.resolve():
            raise ArgumentError(f"{folder}: a run is resumed in its own folder. Leave out --out {out}.")
        expected = config.variant if variant == config.variant.name else get_variant(variant)
        settings, given = to_recipe(recipe), checked(TrainingOptions, run)
        check_options(folder, config, expected, settings, given)
        if opened.is_finished:
            _print_finished(opened, format)
            return
        moved = None if data == config.data else data
        expects = {"variant": expected, "recipe": settings, "options": given}
        _print_result(resume_training(folder, data=moved, workers=workers, device=device, **expects), format)

    return train


def _print_finished(run: Run, format: Format) -> None:
    """Say of a finished run what can be done with it, in the main process."""
    if not is_main() or printed(format, document_of_run(run)):
        return
    name = quote(str(run.folder))
    print_line(f"{run.folder}: {run.progress}; {run.history.best_in_words}. To evaluate it: resnext evaluate {name}. "
               f"To train it longer, or on more images: resnext train DATA --weights {name}")  # fmt: skip


def _print_result(result: TrainingResult, format: Format) -> None:
    """Print the result in the main process of a training."""
    if not is_main() or printed(format, _document_of_result(result)):
        return
    from resnext.metrics.remarks import ON_THE_SAME, always

    images = counted(len(result.test), "image")
    print_line(f"test {result.test.headline} of {images} (last epoch); {always(result.test)}")
    same = f", {ON_THE_SAME}" if result.chosen_on else ""
    print_line(f"{result.history.best_in_words}{same}; saved in {result.folder}")
    for path in result.plots:
        print_line(f"{'report' if path.name == REPORT else 'plot'}: {path}")
    if result.plots_missing:
        print_line(f"plots are missing: {result.plots_missing}")


def _document_of_result(result: TrainingResult) -> dict[str, Any]:
    """Return the result of a training for programs: what `info` says of its run, and the test."""
    return {
        **document_of_run(Run.open(result.folder)),
        "test": {"images": len(result.test), **result.test.metrics()},
        "chosen_on_test": result.chosen_on,
        "plots": [path for path in result.plots if path.name != REPORT],
        "report": next((path for path in result.plots if path.name == REPORT), None),
        "plots_missing": result.plots_missing,
    }


def _print_folds(result: CrossValidation, format: Format) -> None:
    """Print the accuracy of each fold, their mean and range, and that of all images."""
    from resnext.metrics.intervals import wilson
    from resnext.metrics.names import NAMES

    is_several = result.runs[0].config.several
    metric, what = (NAMES["map"], "all labels right at 0.5 for ") if is_several else (NAMES["top1"], "")
    shares, right = [100 * share for share in result.accuracies], int(result.right.sum())
    if printed(format, _document_of_folds(result, "map" if is_several else "top1"), "folds"):
        return
    for fold, (share, run) in enumerate(zip(shares, result.runs, strict=True), 1):
        print_line(f"fold {fold}: test {metric} {share:.2f} % of {counted(len(run.held_out), 'image')} (last epoch)")
    low, high = (100 * bound for bound in wilson(right, len(result.right)))
    print_line(
        f"mean of {len(shares)} folds: {sum(shares) / len(shares):.2f} %, from {min(shares):.2f} to {max(shares):.2f}"
    )
    print_line(f"all {len(result.right):,} images, each by a network that was not trained on it: "
          f"{what}{100 * right / len(result.right):.2f} % (95 % interval {low:.2f} to {high:.2f})")  # fmt: skip
    print_line(f"written: {result.predictions}")


def _document_of_folds(result: CrossValidation, metric: str) -> dict[str, Any]:
    """Return the result of a cross-validation for programs."""
    from resnext.metrics.intervals import wilson

    shares, right, images = result.accuracies, int(result.right.sum()), len(result.right)
    folds = [
        {"fold": fold, "run": run.folder, "images": len(run.held_out), metric: share}
        for fold, (share, run) in enumerate(zip(shares, result.runs, strict=True), 1)
    ]
    return {
        "metric": metric,
        "folds": folds,
        "mean": sum(shares) / len(shares),
        "lowest": min(shares),
        "highest": max(shares),
        "all": {"images": images, "right": right / images, "interval": wilson(right, images)},
        "predictions": result.predictions,
    }


def to_settings(recipe: Recipe) -> Settings:
    return Settings(**dataclasses.asdict(recipe))


def to_recipe(settings: Settings) -> Recipe:
    return checked(Recipe, settings)
