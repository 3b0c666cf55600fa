"""Train a network on a folder of images."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from resnext.distributed import World, join, launched
from resnext.errors import ArgumentError, DataError, RunError, warn
from resnext.images.watchdog import watch_files
from resnext.recipes.naming import get_recipe
from resnext.recipes.recipe import Recipe, check_dtype, judged_at
from resnext.runs.lock import locked
from resnext.runs.run import (
    CONFIG,
    RunConfig,
    check_unused,
    read_run,
    to_json,
)
from resnext.training.checkpoints import FOLDER as CHECKPOINTS
from resnext.training.checkpoints import Checkpoint, name_of, other_images, read_checkpoint, read_newest
from resnext.training.signals import stop_on_signals
from resnext.variants.naming import get_variant
from resnext.variants.variant import Variant

if TYPE_CHECKING:
    from resnext.data.examples import Splits
    from resnext.training.session import Trained


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
    checkpoint_every: int | None = None,
) -> Trained:
    """Train a network and keep everything about it in a run folder (see `resnext.runs.run`).

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
        checkpoint_every: steps from one checkpoint to the next; by default they come every five minutes. There is one
            after every epoch, too.

    Raises:
        ValueError, RunError, DataError, WeightsError: before anything is written.
        ImageError, TrainingDiverged, SavingError, OutOfMemoryError: the run folder keeps what was saved.
        DistributedError, PeerLostError: of several processes (see `resnext.distributed`), which do not find each other,
            can't share the batches out, or of which one has ended.
        Stopped: SIGTERM, SIGINT or SIGUSR1 came; `resume` goes on.

    >>> train("sign-digits", "resnext14_8x4d", "runs/signs").test.top(1)  # doctest: +SKIP
    0.9912
    """
    from resnext.data.builtin import WORDS, local_copy
    from resnext.data.splits import load_splits, source_name

    # What can be refused is refused before Keras is imported: that takes seconds.
    folder = Path(out)
    variant = get_variant(variant) if isinstance(variant, str) else variant
    recipe = recipe or get_recipe("photos")
    recipe = dataclasses.replace(recipe, image_size=recipe.image_size or variant.image_size)
    preprocessing = judged_at(recipe)
    check_dtype(dtype)
    _check_numbers(seed, workers, checkpoint_every)
    if _is_first():
        check_unused(folder)
    _check_start(variant, recipe, weights)
    source = local_copy(str(data)) or (None if data in WORDS else data)
    if source and folder.resolve().is_relative_to(Path(source).resolve()):
        raise RunError(f"{folder}: lies in {data}, where its pictures would be taken for data. Choose another --out.")
    with stop_on_signals() as stop, watch_files(warn), _alone_in(folder):
        splits = _checked(load_splits(data, seed), recipe, skip_bad)
        world = join()
        from resnext.training.session import fit

        config = RunConfig(
            variant,
            splits.train.classes,
            preprocessing,
            recipe,
            source_name(data),
            seed,
            dtype,
            None if weights is None else str(weights),
            remat,
            skip_bad,
            tensorboard,
            checkpoint_every,
            _backend_versions(world),
        )
        return fit(folder, config, splits, workers, stop, world)


def resume(folder: str | Path, *, data: str | Path | None = None, workers: int | None = None) -> Trained:
    """Go on with a training from its newest whole checkpoint, to the same weights as if it had never stopped.

    Bit for bit where backend, versions and kind of machine are the same; a warning says if they are not.

    Args:
        folder: of the run.
        data: where the images are now; by default where they were.
        workers: as in `train`.

    Raises:
        RunError: not a run, in use, or its configuration, its images or its network are not those of the checkpoint.
        DamagedCheckpointError: there are checkpoints, and none is as it was written.
        ValueError, DataError, ImageError, TrainingDiverged, SavingError, OutOfMemoryError, Stopped: as in `train`.

    >>> resume("runs/signs").test.top(1)  # doctest: +SKIP
    0.9912
    """
    from resnext.data.splits import load_splits

    folder = Path(folder)
    config = read_run(folder)
    _check_numbers(config.seed, workers, config.checkpoint_every)
    with stop_on_signals() as stop, watch_files(warn), _alone_in(folder):
        checkpoint = read_newest(folder / CHECKPOINTS, warn) if _is_first() else None
        if checkpoint:
            _check_same(folder, config, checkpoint.facts)
        splits = _checked(load_splits(data or config.data, config.seed), config.recipe, config.skip_bad)
        if splits.train.classes != config.classes:
            raise DataError(other_images(data or config.data))
        world = join()
        from resnext.training.session import fit

        checkpoint = _shared(folder / CHECKPOINTS, checkpoint, world)
        versions = _backend_versions(world)
        if config.versions != versions and world.is_first:
            warn(f"{folder}: was trained with {_named(config.versions)}, and goes on with {_named(versions)}: "
                  "equal to about 1e-6, not bit for bit")  # fmt: skip
        return fit(folder, config, splits, workers, stop, world, checkpoint)


def _is_first() -> bool:
    launch = launched()
    return not launch or launch.rank == 0


def _alone_in(folder: Path) -> contextlib.AbstractContextManager:
    """For the first process, which writes; the others only read."""
    return locked(folder) if _is_first() else contextlib.nullcontext()


def _shared(folder: Path, checkpoint: Checkpoint | None, world: World) -> Checkpoint | None:
    """In every process the checkpoint that the first one found whole."""
    facts = checkpoint.facts if checkpoint else {"step": -1, "epochs": -1}
    step, epochs = world.of_the_first((facts["step"], facts["epochs"]))
    if world.is_first or step < 0:
        return checkpoint
    return read_checkpoint(folder / name_of(step, epochs))


def _check_start(variant: Variant, recipe: Recipe, weights: str | Path | None) -> None:
    if recipe.freeze and weights is None:
        raise ArgumentError(
            "`freeze` keeps stages as they were loaded, and nothing is: give `weights`. "
            f"Received: freeze {recipe.freeze}"
        )
    if recipe.zero_gamma and variant.shortcut == "none":
        raise ArgumentError("`zero_gamma` must be False without shortcuts: every block would start, and stay, at zero")


def _check_same(folder: Path, config: RunConfig, facts: dict) -> None:
    now, then = to_json(config), facts["config"]
    keys = [f"{key}: {then.get(key)!r} then, {now.get(key)!r} now" for key in now if now[key] != then.get(key)]
    if recipes := [key for key in keys if key.startswith("recipe: ")]:
        pairs = [(name, then["recipe"].get(name), value) for name, value in now["recipe"].items()]
        changes = [f"{name}: {old!r} then, {value!r} now" for name, old, value in pairs if old != value]
        keys = [*changes, *(key for key in keys if key not in recipes)]
    if keys:
        raise RunError(f"{folder}: its checkpoint is of another training ({'; '.join(keys)}). Restore its {CONFIG}.")


def _named(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _backend_versions(world: World) -> dict[str, str]:
    import keras

    versions = _versions(keras.backend.backend())
    return versions if world.devices == 1 else {**versions, "devices": str(world.devices)}


def _check_numbers(seed: int, workers: int | None, checkpoint_every: int | None) -> None:
    if not 0 <= seed < 2**32:
        raise ArgumentError(f"`seed` must be from 0 to {2**32 - 1}. Received: {seed}")
    if workers is not None and workers < 0:
        raise ArgumentError(f"`workers` must be at least 0. Received: {workers}")
    if checkpoint_every is not None and checkpoint_every < 1:
        raise ArgumentError(f"`checkpoint_every` must be at least 1. Received: {checkpoint_every}")


def _checked(splits: Splits, recipe: Recipe, skip_bad: bool) -> Splits:
    """The splits with images that can be read. Judging ones are read whole: else it would show after an epoch only."""
    from resnext.data.reading import check_images, readable
    from resnext.images.decode import read_image

    if skip_bad:
        parts = {examples: readable(examples) for examples in (splits.train, splits.validation, splits.test)}
        for _, bad in parts.values():
            for reason in bad:
                print(f"skipped: {reason}", file=sys.stderr)
        train, validation, test = (parts[part][0] for part in (splits.train, splits.validation, splits.test))
        splits = dataclasses.replace(splits, train=train, validation=validation, test=test)
    else:
        check_images(splits.train)
        for examples in dict.fromkeys((splits.validation, splits.test)):
            check_images(examples, read_image)
    if len(splits.train) < recipe.accumulate:
        raise DataError(f"{len(splits.train)} training images can't be accumulated in {recipe.accumulate} parts")
    return splits


def _versions(backend: str) -> dict[str, str]:
    packages = {"tensorflow": ("tensorflow", "tensorflow-cpu"), "jax": ("jax",), "torch": ("torch",)}
    installed = {}
    for package in ("resnext", "keras", "numpy", "pillow", *packages.get(backend, ())):
        try:
            installed[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {"backend": backend, **installed}
