"""One sitting of a training: what is built for it, its epochs, and what they came to."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import keras
from rich.console import Console

from resnext.data.batches import images_of_batch, images_per_step, steps_per_epoch, training_batches
from resnext.data.examples import Examples, Splits, fingerprint
from resnext.distributed import Cluster, is_lost_peer, shutdown
from resnext.engines.keras_engine import KerasEngine
from resnext.errors import ArgumentError, DataError, ImageError, OutOfMemoryError, PeerLostError, RunError, warn
from resnext.inference.evaluate import evaluate_examples
from resnext.metrics.evaluation import Evaluation
from resnext.model.classifier import image_classifier, image_network, keras_config
from resnext.model.features import freeze
from resnext.model.network import ResNeXtModel
from resnext.model.recompute import recompute
from resnext.recipes.recipe import Recipe, training_preprocessing
from resnext.runs.config import RunConfig
from resnext.runs.history import EpochRow
from resnext.runs.report import draw_report
from resnext.runs.run import EVENTS, Run, command_to_resume, is_run
from resnext.training.averaging import averaged_weights, corrected_statistics
from resnext.training.checkpoints import FOLDER as CHECKPOINTS
from resnext.training.checkpoints import Checkpoint, checkpoints, other_images
from resnext.training.optimizers import build_optimizer
from resnext.training.progress import ProgressBar
from resnext.training.recorder import Images, Recorder
from resnext.training.schedules import learning_rates
from resnext.training.signals import Stopped, StopRequest
from resnext.training.start import start_lines
from resnext.training.state import build, shapes
from resnext.training.tensorboard import TensorBoard
from resnext.weights.load import load_weights

EVALUATION_BATCH = 256  # images, at most
UNFIT_BEFORE = 200  # steps: 0.9**200 of the first batch-norm statistics is less than float32 resolves
STATISTICS_FROM = 32  # batches, at most: for the batch norm of averaged weights


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """What a training came to."""

    folder: Path
    test: Evaluation  # of the last weights, on the test images
    best_epoch: int
    best_validation_accuracy: float
    plots: tuple[Path, ...]  # and the report, which shows them
    plots_missing: str | None  # why there are none, or not all


class Session:
    """Everything that one process builds to train, from the configuration of a run.

    The order of starting: 1. the network, with the weights that the run starts from; 2. the classifier around it,
    compiled, with all its variables; 3. the checkpoint, if there is one, which replaces every one of them.

    Args:
        folder: run folder.
        config: configuration of the run.
        splits: images of the run.
        workers: threads that make batches ahead; None for one for each core, at most 8.
        stop: asked after every step whether to stop.
        cluster: all processes and devices of the training.
        weights: weights to start from; None for random ones.
    """

    @classmethod
    def train(
        cls,
        folder: Path,
        config: RunConfig,
        splits: Splits,
        workers: int | None,
        stop: StopRequest,
        cluster: Cluster,
        checkpoint: Checkpoint | None = None,
    ) -> TrainingResult:
        """Build a session, restore the checkpoint, and train to the end."""
        check_precision(config.options.dtype)
        keras.utils.set_random_seed(config.options.seed)
        with keras_config(config.options.dtype, "channels_last"), cluster.scope():
            # A checkpoint replaces every variable, so the weights that the run started from are not needed.
            start = None if checkpoint else config.options.weights
            session = cls(folder, config, splits, workers, stop, cluster, start)
            try:
                if checkpoint:
                    session.restore(checkpoint)
                session.run()
                result = session.result()
            except Exception as error:
                if known := session.explain(error):
                    raise known from error
                raise
        shutdown(cluster)
        return result

    def __init__(
        self,
        folder: Path,
        config: RunConfig,
        splits: Splits,
        workers: int | None,
        stop: StopRequest,
        cluster: Cluster,
        weights: str | None,
    ):
        recipe, options = config.recipe, config.options
        self.folder, self.config, self.splits, self.cluster = folder, config, splits, cluster
        self.stop, self.check_stop = stop, partial(stop.check, cluster.all_max)
        self.steps = steps_per_epoch(splits.train, recipe)
        self.at_once = images_per_step(splits.train, recipe) // recipe.accumulate
        cluster.check_shares(self.at_once)
        self._build_models(learning_rates(recipe, self.steps), weights)
        preprocessing, share = training_preprocessing(recipe), (cluster.rank, cluster.processes)
        self.batches = partial(
            training_batches, splits.train, recipe, preprocessing, options.seed, workers, share=share
        )
        self.facts = {  # what every checkpoint holds beside the state
            "config": config.to_json(),
            "images": fingerprint(splits),
            "layout": shapes(self.classifier),
        }
        names = partial(images_of_batch, splits.train, recipe, options.seed)
        images = Images(names, self.at_once)
        self.progress: ProgressBar | None = None
        self.recorder = Recorder(self, images, options.checkpoint_every, partial(stop.asked, cluster.all_max))

    def _build_models(self, rates: keras.optimizers.schedules.LearningRateSchedule, weights: str | None) -> None:
        config, recipe = self.config, self.config.recipe
        self.rates = rates
        self.network = build_network(config, weights)
        trained = recompute(self.network) if config.options.remat else self.network
        self.classifier = image_classifier(trained, training_preprocessing(recipe))
        evaluated = self.classifier
        if config.preprocessing.size != recipe.image_size:
            evaluated = image_classifier(self.network, config.preprocessing)
        self.engine = KerasEngine(evaluated, cluster=self.cluster)
        compile_classifier(self.classifier, self.network, recipe, rates)
        build(self.classifier, len(config.classes))

    def restore(self, checkpoint: Checkpoint) -> None:
        """Put the session where a checkpoint left the training.

        Raises:
            DataError: other images.
            RunError: another network.
        """
        then = checkpoint.facts
        if then["images"] != self.facts["images"]:
            raise DataError(other_images(self.config.data))
        old, new = then["layout"], self.facts["layout"]
        if names := sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name)):
            raise RunError(
                f"{self.folder}: its checkpoint belongs to another network (first of {len(names)} differences: "
                f"{names[0]})."
            )
        self.recorder.restore(checkpoint)
        if self.cluster.is_main:
            state = self.recorder.state
            done = f"{state.history.epochs} of {self.config.recipe.epochs} epochs evaluated"
            warn(f"resuming after step {state.step} ({done})")

    def run(self) -> None:
        """Train and evaluate the epochs that are left; whatever ends it, the run folder keeps what was saved."""
        recorder = self.recorder
        with self._outputs() as (bar, events):
            while recorder.state.history.epochs < self.config.recipe.epochs:
                self.train_epochs()
                row = self.evaluate_epoch()
                bar.end_epoch(row)
                if events:
                    events.end_epoch(row)
            recorder.finish()

    def next_evaluated(self) -> int:
        """Return the number of the next epoch after which the network is evaluated."""
        recipe = self.config.recipe
        return min(self.recorder.state.history.epochs + recipe.evaluate_every, recipe.epochs)

    def steps_left(self) -> int:
        """Return the number of steps before the next evaluation."""
        return self.next_evaluated() * self.steps - self.recorder.state.step

    def train_epochs(self) -> None:
        """Take the steps that are left before the next evaluation."""
        left, failures = self.steps_left(), []
        if not left:
            return
        try:
            self.classifier.fit(
                keep_error(self.batches(self.recorder.state.step), failures),  # Keras knows generators only
                steps_per_epoch=left,
                callbacks=[self.recorder, self.progress],
                shuffle=False,  # the batches are shuffled already
                verbose=0,
            )
        except Exception:
            if failures:
                raise failures[0] from None
            raise

    def evaluate_epoch(self) -> EpochRow:
        """Evaluate the network on the validation images, and save what the epoch came to.

        A recipe with an average of the weights evaluates and saves that; training continues without it. A stop on the
        way leaves a checkpoint from which the evaluation is resumed.
        """
        trained = self.recorder.seconds_of_steps()
        try:
            with self._as_evaluated():
                evaluation = self.evaluate(self.splits.validation)
                files = self.recorder.add_row(evaluation, trained)
        except Stopped:
            if not self.stop.raised:
                self.recorder.save_and_wait()
            raise
        return self.recorder.end_epoch(files)

    def evaluate(self, examples: Examples) -> Evaluation:
        """Evaluate the network on examples, on all devices."""
        batch = min(EVALUATION_BATCH, self.config.recipe.batch_size)
        return evaluate_examples(self.engine, examples, self.config.preprocessing, batch, self.check_stop)

    def result(self) -> TrainingResult:
        """Evaluate the last weights on the test images, and draw the report."""
        load_weights(
            self.network, Run(self.folder, self.config).weights("last")
        )  # the average, where the recipe keeps one
        test, history = self.evaluate(self.splits.test), self.recorder.state.history
        plots, missing = (), None
        if self.cluster.is_main:
            plots, missing = draw_report(self.folder, self.config, history, test, self.splits.test)
        best = history.best
        return TrainingResult(self.folder, test, best.epoch, best.validation_accuracy, plots, missing)

    def report(self, line: str) -> None:
        """Print a line above the progress bar."""
        if self.progress:
            self.progress.print(line)
        else:
            warn(line)

    def explain(self, error: Exception) -> Exception | None:
        """Return the error to show the user for a backend's error, or None if it is not recognised."""
        cluster = self.cluster
        if cluster.processes > 1 and is_lost_peer(error):
            return PeerLostError(
                f"process {cluster.rank} of {cluster.processes}: another process has ended. Start all of them again "
                f"with: {command_to_resume(self.folder)}"
            )
        if isinstance(error, ImageError):
            return ImageError(
                f"{error}. Repair or remove it (resnext check-data finds all of them), or start with --skip-bad, which "
                "leaves them out"
            )
        if is_out_of_memory(error):
            return OutOfMemoryError(
                f"not enough memory for steps of {self.at_once} images of {self.config.recipe.image_size} pixels. "
                "Use a lower --batch-size or --image-size, --accumulate, or --remat."
            )
        return None

    @contextlib.contextmanager
    def _outputs(self) -> Iterator[tuple[ProgressBar, TensorBoard | None]]:
        """Open the terminal, the run folder and the events; close them in order, whatever ends the training."""
        recipe, state, is_main = self.config.recipe, self.recorder.state, self.cluster.is_main
        console = Console(stderr=True, quiet=not is_main)
        for line in start_lines(self.config, self.splits, self.network):
            console.print(line, highlight=False, soft_wrap=True, markup=False)
        events = TensorBoard(self.folder / EVENTS) if is_main and self.config.options.tensorboard else None
        is_new = is_main and not is_run(self.folder)
        run = Run.create(self.folder, self.config, self.splits.held_out) if is_new else None
        discard = partial(self._discard_unsaved, run)
        self.stop.clean_up.append(discard)
        self.stop.outcome = self._outcome
        self.progress = ProgressBar(console, self.at_once, self.steps, recipe.epochs, state.step)
        try:
            yield self.progress, events
        except BaseException:
            self.recorder.join()
            discard()
            raise
        finally:
            self.progress.stop()  # also when training fails: it gives the terminal its cursor back
            if events:
                events.close()

    def _discard_unsaved(self, run: Run | None) -> None:
        """Remove a run that this session began, if it has nothing to resume from."""
        if run and not checkpoints(self.folder / CHECKPOINTS):
            run.discard()

    def _outcome(self) -> str:
        """Return where a stop found the training, and how to resume it."""
        if not checkpoints(self.folder / CHECKPOINTS):
            return "; nothing was saved"
        where = "in the middle of a step" if self.stop.raised else f"after step {self.recorder.state.step}"
        return f" {where}; resume with: {command_to_resume(self.folder)}"

    def _as_evaluated(self) -> contextlib.AbstractContextManager:
        """Put the average of the weights into the network for a while, where the recipe keeps one, and fit statistics.

        The statistics that come with loaded weights are fit from the start.
        """
        if not self.config.recipe.ema:
            steps = self.recorder.state.step
            unfit = steps < UNFIT_BEFORE and not self.config.options.weights
            return corrected_statistics(self.classifier, steps) if unfit else contextlib.nullcontext()

        def images():
            for images, _ in self.batches():
                self.check_stop()
                yield self.cluster.shard(images)

        return averaged_weights(self.classifier, images(), min(self.steps, STATISTICS_FROM))


def check_precision(dtype: str) -> None:
    """Refuse float64 where JAX would compute in float32. Raises ArgumentError."""
    if dtype == "float64" and keras.backend.standardize_dtype(keras.ops.zeros((), "float64").dtype) != "float64":
        raise ArgumentError("`dtype` float64 is float32 on JAX unless the environment has JAX_ENABLE_X64=1. Set that.")


def build_network(config: RunConfig, weights: str | None) -> ResNeXtModel:
    """Build the network to train: with the recipe's start, loaded weights if there are some, and its frozen stages."""
    recipe, variant = config.recipe, config.variant
    variant = dataclasses.replace(
        variant,
        drop_path=recipe.drop_path or variant.drop_path,
        last_gamma=0.0 if recipe.zero_gamma else variant.last_gamma,
    )
    classes, size = len(config.classes), recipe.image_size
    network = image_network(variant, classes, config.preprocessing, weights, size)
    network.class_names = config.classes
    return freeze(network, recipe.freeze)


def compile_classifier(classifier: keras.Model, network: keras.Model, recipe: Recipe, rates) -> None:
    """Compile a classifier for a recipe.

    Args:
        classifier: model that is trained, from images to logits.
        network: network in it, whose layers may have learning rates of their own.
        recipe: training recipe to use.
        rates: schedule of the learning rate.
    """
    binary = keras.losses.BinaryCrossentropy(from_logits=True)
    loss = binary if recipe.loss == "binary" else keras.losses.CategoricalCrossentropy(from_logits=True)
    optimizer = build_optimizer(recipe, rates, network)
    classifier.compile(optimizer, loss, metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")])


def keep_error(batches, failures: list[BaseException]):
    """Yield the batches; an error on the way is kept in `failures`, for TensorFlow passes on only its text."""
    try:
        yield from batches
    except GeneratorExit:
        raise
    except BaseException as error:  # also what a reading thread comes to with sys.exit
        failures.append(error)
        raise


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that memory ran out; PyTorch (CPU) and XLA are recognised by their messages."""
    words = ("out of memory", "RESOURCE_EXHAUSTED", "can't allocate memory", "OOM when allocating", "bad_alloc")
    return isinstance(error, MemoryError) or any(word in str(error) for word in words)


def installed_versions(cluster: Cluster) -> dict[str, str]:
    """Return what decides whether two trainings agree bit for bit: backend, versions, and devices if several."""
    backend = keras.backend.backend()
    packages = {"tensorflow": ("tensorflow", "tensorflow-cpu"), "jax": ("jax",), "torch": ("torch",)}
    versions = {"backend": backend}
    for package in ("resnext", "keras", "numpy", "pillow", *packages.get(backend, ())):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions if cluster.devices == 1 else {**versions, "devices": str(cluster.devices)}
