"""One sitting of a training: what is built for it, its epochs, and what they came to."""

from __future__ import annotations

import contextlib
import dataclasses
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from resnext.backend import silent
from resnext.distributed import World, is_lost_peer, leave
from resnext.errors import DataError, OutOfMemoryError, PeerLostError, RunError, warn
from resnext.recipes.recipe import Recipe, trained_at
from resnext.runs.run import (
    CLASS_ACCURACY,
    CONFUSION_MATRIX,
    EVENTS,
    LEARNING_CURVES,
    REPORT,
    WEIGHTS,
    WORST_MISTAKES,
    RunConfig,
    create_run,
    discard_run,
    is_run,
    to_json,
)
from resnext.training.checkpoints import FOLDER as CHECKPOINTS
from resnext.training.checkpoints import Checkpoint, checkpoints, other_images
from resnext.training.optimizers import build_optimizer
from resnext.training.schedules import learning_rates
from resnext.training.signals import Stopped, StopRequest

if TYPE_CHECKING:
    import keras

    from resnext.data.examples import Examples, Splits
    from resnext.model.network import ResNeXtModel
    from resnext.runs.evaluate import Evaluation

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


def fit(
    folder: Path,
    config: RunConfig,
    splits: Splits,
    workers: int | None,
    stop: StopRequest,
    world: World,
    checkpoint: Checkpoint | None = None,
) -> Trained:
    import keras

    from resnext.model.classifier import keras_config

    stop.agree = world.agreed
    with silent():  # beside JAX Keras imports TensorFlow here, where that is installed
        keras.utils.set_random_seed(config.seed)
    with keras_config(config.dtype, "channels_last"), world.scope():
        training = Session(folder, config, splits, workers, stop, world, checkpoint)
        try:
            training.run()
            trained = training.result()
        except Exception as error:
            if known := explain_backend_error(error, training):
                raise known from error
            raise
    leave(world)
    return trained


def explain_backend_error(error: Exception, training: Session) -> Exception | None:
    """What an error of a backend means, where we know it."""
    world = training.world
    if world.processes > 1 and is_lost_peer(error):
        return PeerLostError(
            f"process {world.rank} of {world.processes}: another one has ended. Start all of them again with: "
            f"resnext train --resume {training.folder}"
        )
    if is_out_of_memory(error):
        return OutOfMemoryError(
            f"not enough memory for steps of {training.at_once} images of {training.config.recipe.image_size} pixels. "
            "Use a lower --batch-size or --image-size, --accumulate, or --remat."
        )
    return None


class Session:
    """One sitting of a training: what is built for it, its epochs, and what they came to."""

    def __init__(
        self, folder: Path, config: RunConfig, splits: Splits, workers, stop: StopRequest, world: World, checkpoint
    ):
        from resnext.data.batches import images_of_batch, images_per_step, steps_per_epoch, training_batches
        from resnext.data.examples import fingerprint
        from resnext.model.classifier import image_classifier
        from resnext.model.recompute import recompute
        from resnext.training.recorder import KeepRun
        from resnext.training.state import build, layout

        recipe, seen = config.recipe, trained_at(config.recipe)
        self.folder, self.config, self.splits, self.stop, self.world = folder, config, splits, stop, world
        self.steps = steps_per_epoch(splits.train, recipe)
        self.at_once = images_per_step(splits.train, recipe) // recipe.accumulate
        world.check_shares(self.at_once)
        share = world.rank, world.processes
        self.batches = partial(training_batches, splits.train, recipe, seen, config.seed, workers, share=share)
        self.network = build_network(config)
        self.classifier = image_classifier(recompute(self.network) if config.remat else self.network, seen)
        self.judged = self.classifier
        if config.preprocessing.size != recipe.image_size:
            self.judged = image_classifier(self.network, config.preprocessing)
        rates = learning_rates(recipe, self.steps)
        compile_classifier(self.classifier, self.network, recipe, rates)
        build(self.classifier, len(config.classes))
        facts = {"config": to_json(config), "images": fingerprint(splits), "layout": layout(self.classifier)}
        names = partial(images_of_batch, splits.train, recipe, config.seed), self.at_once
        self.keep = KeepRun(
            folder, self.network, self.steps, lambda step: float(rates(step)), names, facts, config.checkpoint_every,
            stop, warn, world,
        )  # fmt: skip
        if checkpoint:
            self._go_on(checkpoint, facts)

    def _go_on(self, checkpoint: Checkpoint, facts: dict) -> None:

        then = checkpoint.facts
        if then["images"] != facts["images"]:
            raise DataError(other_images(self.config.data))
        if then["layout"] != facts["layout"]:
            names = sorted(name for name in then["layout"].keys() | facts["layout"].keys()
                           if then["layout"].get(name) != facts["layout"].get(name))  # fmt: skip
            raise RunError(f"{self.folder}: its checkpoint is of another network (first of {len(names)}: {names[0]}).")
        self.keep.go_on(self.classifier, checkpoint)
        if self.world.is_first:
            done = f"{len(self.keep.rows)} of {self.config.recipe.epochs} epochs judged"
            warn(f"goes on after step {self.keep.step}, {done}")

    def run(self) -> None:
        """All epochs that are left; the run folder keeps what was saved, whatever ends them."""
        from rich.console import Console

        from resnext.training.progress import ShowProgress
        from resnext.training.tensorboard import WriteEvents

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
                remembering(self.batches(self.keep.step), failures),  # Keras knows generators, not grain's iterators
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
        from resnext.runs.evaluate import judge

        at_once = min(JUDGED_AT_ONCE, self.config.recipe.batch_size)
        return judge(self.judged, examples, self.config.preprocessing, at_once, self.stop.check, self.world)

    def _averaged(self, classifier: keras.Model) -> contextlib.AbstractContextManager:
        from resnext.training.averaging import averaged_weights

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
            drawn = draw_pictures(self.folder, self.config, rows, test, self.splits.test)
        pictures, missing = drawn
        return Trained(self.folder, test, int(best["epoch"]), best["validation_accuracy"], pictures, missing)


def is_out_of_memory(error: BaseException) -> bool:
    """Each backend has its own error for it; PyTorch's on a CPU, and XLA's, are told by their words."""
    words = ("out of memory", "RESOURCE_EXHAUSTED", "can't allocate memory", "OOM when allocating", "bad_alloc")
    return isinstance(error, MemoryError) or any(word in str(error) for word in words)


def build_network(config: RunConfig) -> ResNeXtModel:
    """The network to train: with the recipe's start, its loaded weights and its frozen stages."""
    from resnext.model.classifier import image_network
    from resnext.model.features import freeze

    recipe, variant = config.recipe, config.variant
    variant = dataclasses.replace(
        variant,
        drop_path=recipe.drop_path or variant.drop_path,
        last_gamma=0.0 if recipe.zero_gamma else variant.last_gamma,
    )
    network = image_network(variant, len(config.classes), config.preprocessing, config.weights, recipe.image_size)
    return freeze(network, recipe.freeze)


def remembering(batches, failures: list[BaseException]):
    """The batches; an error on the way is kept, for TensorFlow hands on only its text."""
    try:
        yield from batches
    except GeneratorExit:
        raise
    except BaseException as error:  # also what a thread that reads comes to with sys.exit
        failures.append(error)
        raise


def compile_classifier(classifier: keras.Model, network: keras.Model, recipe: Recipe, rates) -> None:
    import keras

    binary = keras.losses.BinaryCrossentropy(from_logits=True)
    loss = binary if recipe.loss == "binary" else keras.losses.CategoricalCrossentropy(from_logits=True)
    optimizer = build_optimizer(recipe, rates, network)
    classifier.compile(optimizer, loss, metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")])


def draw_pictures(
    folder: Path, config: RunConfig, rows: list[dict[str, float]], test: Evaluation, examples: Examples
) -> tuple[tuple[Path, ...], str | None]:
    """The pictures and the page of a run, and why there are no pictures. Nothing here costs the result."""
    from resnext.data.batches import read_image_of
    from resnext.runs import plots
    from resnext.runs.report import write_report

    image = partial(read_image_of, examples, config.preprocessing)
    drawn, missing = {}, None
    try:
        for title, name, draw in (
            ("Learning curves", LEARNING_CURVES, partial(plots.draw_learning_curves, rows)),
            ("Confusion matrix", CONFUSION_MATRIX, partial(plots.draw_confusion_matrix, test)),
            ("Accuracy of each class", CLASS_ACCURACY, partial(plots.draw_class_accuracy, test)),
            ("Worst mistakes", WORST_MISTAKES, partial(plots.draw_worst_mistakes, test, image)),
        ):
            draw(folder / name)
            drawn[title] = folder / name
        write_report(folder / REPORT, config, rows, test, drawn)
    except Exception as error:  # whatever it is, the test result is worth more
        missing = str(error)
        with contextlib.suppress(Exception):
            write_report(folder / REPORT, config, rows, test, drawn, missing)
    return tuple(path for path in (*drawn.values(), folder / REPORT) if path.exists()), missing
