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

from resnext.backend import silent
from resnext.checkpoints import FOLDER as CHECKPOINTS
from resnext.checkpoints import Checkpoint, checkpoints, name_of, read_checkpoint, read_newest
from resnext.distributed import PeerLostError, World, is_lost_peer, join, launched, leave
from resnext.images.watchdog import watch_files
from resnext.recipes.naming import get_recipe
from resnext.recipes.recipe import Recipe, check_dtype, judged_at, trained_at
from resnext.run import (
    CLASS_ACCURACY,
    CONFIG,
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
    is_run,
    locked,
    read_run,
    to_json,
)
from resnext.stopping import Stopped, StopRequest, stop_on_signals
from resnext.variants.naming import get_variant
from resnext.variants.variant import Variant

if TYPE_CHECKING:
    import keras

    from resnext.data.examples import Examples, Splits
    from resnext.evaluate import Evaluation
    from resnext.model import ResNeXtModel

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
    checkpoint_every: int | None = None,
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
        checkpoint_every: steps from one checkpoint to the next; by default they come every five minutes. There is one
            after every epoch, too.

    Raises:
        ValueError, RunError, DataError, WeightsError: before anything is written.
        ImageError, TrainingDiverged, SavingError, OutOfMemoryError: the run folder keeps what was saved.
        ParallelError, PeerLostError: of several processes (see `resnext.distributed`), which do not find each other,
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
    with stop_on_signals() as stop, watch_files(_warn), _alone_in(folder):
        splits = _checked(load_splits(data, seed), recipe, skip_bad)
        world = join()
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
        return _fit(folder, config, splits, workers, stop, world)


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
    from resnext.errors import DataError

    folder = Path(folder)
    config = read_run(folder)
    _check_numbers(config.seed, workers, config.checkpoint_every)
    with stop_on_signals() as stop, watch_files(_warn), _alone_in(folder):
        checkpoint = read_newest(folder / CHECKPOINTS, _warn) if _is_first() else None
        if checkpoint:
            _check_same(folder, config, checkpoint.facts)
        splits = _checked(load_splits(data or config.data, config.seed), config.recipe, config.skip_bad)
        if splits.train.classes != config.classes:
            raise DataError(_other_images(data or config.data))
        world = join()
        checkpoint = _shared(folder / CHECKPOINTS, checkpoint, world)
        versions = _backend_versions(world)
        if config.versions != versions and world.is_first:
            _warn(f"{folder}: was trained with {_named(config.versions)}, and goes on with {_named(versions)}: "
                  "equal to about 1e-6, not bit for bit")  # fmt: skip
        return _fit(folder, config, splits, workers, stop, world, checkpoint)


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
        raise ValueError(
            "`freeze` keeps stages as they were loaded, and nothing is: give `weights`. "
            f"Received: freeze {recipe.freeze}"
        )
    if recipe.zero_gamma and variant.shortcut == "none":
        raise ValueError("`zero_gamma` must be False without shortcuts: every block would start, and stay, as nothing")


def _check_same(folder: Path, config: RunConfig, facts: dict) -> None:
    now, then = to_json(config), facts["config"]
    keys = [f"{key}: {then.get(key)!r} then, {now.get(key)!r} now" for key in now if now[key] != then.get(key)]
    if recipes := [key for key in keys if key.startswith("recipe: ")]:
        pairs = [(name, then["recipe"].get(name), value) for name, value in now["recipe"].items()]
        changes = [f"{name}: {old!r} then, {value!r} now" for name, old, value in pairs if old != value]
        keys = [*changes, *(key for key in keys if key not in recipes)]
    if keys:
        raise RunError(f"{folder}: its checkpoint is of another training ({'; '.join(keys)}). Restore its {CONFIG}.")


def _other_images(data: str | Path) -> str:
    return f"{data}: not the images and classes that the run was trained on. Give them as DATA, or train anew."


def _named(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _warn(line: str) -> None:
    print(f"resnext: {line}", file=sys.stderr)


def _backend_versions(world: World) -> dict[str, str]:
    import keras

    versions = _versions(keras.backend.backend())
    return versions if world.devices == 1 else {**versions, "devices": str(world.devices)}


def _check_numbers(seed: int, workers: int | None, checkpoint_every: int | None) -> None:
    if not 0 <= seed < 2**32:
        raise ValueError(f"`seed` must be from 0 to {2**32 - 1}. Received: {seed}")
    if workers is not None and workers < 0:
        raise ValueError(f"`workers` must be at least 0. Received: {workers}")
    if checkpoint_every is not None and checkpoint_every < 1:
        raise ValueError(f"`checkpoint_every` must be at least 1. Received: {checkpoint_every}")


def _checked(splits: Splits, recipe: Recipe, skip_bad: bool) -> Splits:
    """The splits with images that can be read. Judging ones are read whole: else it would show after an epoch only."""
    from resnext.data.reading import check_images, readable
    from resnext.errors import DataError
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


def _fit(
    folder: Path,
    config: RunConfig,
    splits: Splits,
    workers: int | None,
    stop: StopRequest,
    world: World,
    checkpoint: Checkpoint | None = None,
) -> Trained:
    import keras

    from resnext.model import keras_config

    stop.agree = world.agreed
    with silent():  # beside JAX Keras imports TensorFlow here, where that is installed
        keras.utils.set_random_seed(config.seed)
    with keras_config(config.dtype, "channels_last"), world.scope():
        training = _Training(folder, config, splits, workers, stop, world, checkpoint)
        try:
            training.run()
            trained = training.result()
        except Exception as error:
            if known := _known(error, training):
                raise known from error
            raise
    leave(world)
    return trained


def _known(error: Exception, training: _Training) -> Exception | None:
    """What an error of a backend means, where we know it."""
    world = training.world
    if world.processes > 1 and is_lost_peer(error):
        return PeerLostError(
            f"process {world.rank} of {world.processes}: another one has ended. Start all of them again with: "
            f"resnext train --resume {training.folder}"
        )
    if _is_out_of_memory(error):
        return OutOfMemoryError(
            f"not enough memory for steps of {training.at_once} images of {training.config.recipe.image_size} pixels. "
            "Use a lower --batch-size or --image-size, --accumulate, or --remat."
        )
    return None


class OutOfMemoryError(RuntimeError):
    """The step does not fit into the memory."""

    exit_code = 71  # EX_OSERR


class _Training:
    """One sitting of a training: what is built for it, its epochs, and what they came to."""

    def __init__(
        self, folder: Path, config: RunConfig, splits: Splits, workers, stop: StopRequest, world: World, checkpoint
    ):
        from resnext.callbacks import KeepRun
        from resnext.data.batches import images_of_batch, images_per_step, steps_per_epoch, training_batches
        from resnext.data.examples import fingerprint
        from resnext.model import image_classifier
        from resnext.remat import recompute
        from resnext.state import build, layout

        recipe, seen = config.recipe, trained_at(config.recipe)
        self.folder, self.config, self.splits, self.stop, self.world = folder, config, splits, stop, world
        self.steps = steps_per_epoch(splits.train, recipe)
        self.at_once = images_per_step(splits.train, recipe) // recipe.accumulate
        world.check_shares(self.at_once)
        share = world.rank, world.processes
        self.batches = partial(training_batches, splits.train, recipe, seen, config.seed, workers, share=share)
        self.network = _network(config)
        self.classifier = image_classifier(recompute(self.network) if config.remat else self.network, seen)
        self.judged = self.classifier
        if config.preprocessing.size != recipe.image_size:
            self.judged = image_classifier(self.network, config.preprocessing)
        rates = learning_rates(recipe, self.steps)
        _compile(self.classifier, self.network, recipe, rates)
        build(self.classifier, len(config.classes))
        facts = {"config": to_json(config), "images": fingerprint(splits), "layout": layout(self.classifier)}
        names = partial(images_of_batch, splits.train, recipe, config.seed), self.at_once
        self.keep = KeepRun(
            folder, self.network, self.steps, lambda step: float(rates(step)), names, facts, config.checkpoint_every,
            stop, _warn, world,
        )  # fmt: skip
        if checkpoint:
            self._go_on(checkpoint, facts)

    def _go_on(self, checkpoint: Checkpoint, facts: dict) -> None:
        from resnext.errors import DataError

        then = checkpoint.facts
        if then["images"] != facts["images"]:
            raise DataError(_other_images(self.config.data))
        if then["layout"] != facts["layout"]:
            names = sorted(name for name in then["layout"].keys() | facts["layout"].keys()
                           if then["layout"].get(name) != facts["layout"].get(name))  # fmt: skip
            raise RunError(f"{self.folder}: its checkpoint is of another network (first of {len(names)}: {names[0]}).")
        self.keep.go_on(self.classifier, checkpoint)
        if self.world.is_first:
            done = f"{len(self.keep.rows)} of {self.config.recipe.epochs} epochs judged"
            _warn(f"goes on after step {self.keep.step}, {done}")

    def run(self) -> None:
        """All epochs that are left; the run folder keeps what was saved, whatever ends them."""
        from rich.console import Console

        from resnext.callbacks import ShowProgress, WriteEvents

        recipe, keep = self.config.recipe, self.keep
        values = ", ".join(f"{name} {value}" for name, value in dataclasses.asdict(recipe).items() if name != "name")
        first = self.world.is_first
        console = Console(stderr=True, quiet=not first)
        console.print(f"recipe {recipe.name}: {values}", highlight=False, soft_wrap=True)
        events = WriteEvents(self.folder / EVENTS) if first and self.config.tensorboard else None
        new = first and not is_run(self.folder)
        made = create_run(self.folder, self.config, self.splits.held_out) if new else []
        self.progress = ShowProgress(console, self.at_once, self.steps, recipe.epochs, keep.step)
        keep.saver.say = self.progress.say
        try:
            for epoch in range(len(keep.rows), recipe.epochs):
                self._train_to_the_end_of(epoch)
                row = keep.end_epoch(self.classifier, self._averaged, partial(self._judge, self.splits.validation))
                self.progress.end_epoch(row)
                if events:
                    events.end_epoch(row)
            keep.finish()
        except BaseException as error:
            keep.saver.join()
            if isinstance(error, Stopped):
                error.args = (f"{error} after step {keep.step}; go on with: resnext train --resume {self.folder}",)
            if made and not checkpoints(self.folder / CHECKPOINTS):
                discard_run(made)
            raise
        finally:
            self.progress.bar.stop()  # also when training fails: it gives the terminal its cursor back
            if events:
                events.close()

    def _train_to_the_end_of(self, epoch: int) -> None:
        left = (epoch + 1) * self.steps - self.keep.step
        failures: list[BaseException] = []
        if not left:
            return
        try:
            self.classifier.fit(
                _remembering(self.batches(self.keep.step), failures),  # Keras knows generators, not grain's iterators
                steps_per_epoch=left,
                initial_epoch=epoch,
                epochs=epoch + 1,
                callbacks=[self.keep, self.progress],
                shuffle=False,  # the batches are shuffled already
                verbose=0,
            )
        except Exception:
            if failures:
                raise failures[0] from None
            raise

    def _judge(self, examples: Examples) -> Evaluation:
        from resnext.evaluate import judge

        at_once = min(JUDGED_AT_ONCE, self.config.recipe.batch_size)
        return judge(self.judged, examples, self.config.preprocessing, at_once, self.stop.check, self.world)

    def _averaged(self, classifier: keras.Model) -> contextlib.AbstractContextManager:
        from resnext.averaging import averaged_weights

        def images():
            for images, _ in self.batches():
                self.stop.check()
                yield self.world.spread(images)

        steps = min(self.steps, STATISTICS_FROM)
        return averaged_weights(classifier, images(), steps) if self.config.recipe.ema else contextlib.nullcontext()

    def result(self) -> Trained:
        """Judge the last weights on the test images, and draw what all came to."""
        from resnext.weights.load import load_weights

        load_weights(self.network, self.folder / WEIGHTS["last"])  # the average, where the recipe keeps one
        test, rows = self._judge(self.splits.test), self.keep.rows
        best = max(rows, key=lambda row: row["validation_accuracy"])
        drawn = (), None
        if self.world.is_first:
            drawn = _draw(self.folder, self.config, rows, test, self.splits.test)
        pictures, missing = drawn
        return Trained(self.folder, test, int(best["epoch"]), best["validation_accuracy"], pictures, missing)


def _is_out_of_memory(error: BaseException) -> bool:
    """Each backend has its own error for it; PyTorch's on a CPU, and XLA's, are told by their words."""
    words = ("out of memory", "RESOURCE_EXHAUSTED", "can't allocate memory", "OOM when allocating", "bad_alloc")
    return isinstance(error, MemoryError) or any(word in str(error) for word in words)


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


def _remembering(batches, failures: list[BaseException]):
    """The batches; an error on the way is kept, for TensorFlow hands on only its text."""
    try:
        yield from batches
    except GeneratorExit:
        raise
    except BaseException as error:  # also what a thread that reads comes to with sys.exit
        failures.append(error)
        raise


def _compile(classifier: keras.Model, network: keras.Model, recipe: Recipe, rates) -> None:
    import keras

    binary = keras.losses.BinaryCrossentropy(from_logits=True)
    loss = binary if recipe.loss == "binary" else keras.losses.CategoricalCrossentropy(from_logits=True)
    optimizer = _optimizer(recipe, rates, network)
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
    from resnext.data.batches import read_image_of
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
