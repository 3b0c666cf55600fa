"""One session of a training: the objects it builds, its epochs, and their results."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras

from resnext.checksums import sha256_in
from resnext.data.batches import images_of_batch, images_per_step, steps_per_epoch, training_batches
from resnext.data.examples import Examples
from resnext.data.image_hashes import ImageHashes
from resnext.data.splits import Splits, contents_sha256, fingerprint
from resnext.distributed import Cluster, shutdown
from resnext.ending import at_any_end
from resnext.engines.keras_engine import KerasEngine
from resnext.errors import ArgumentError, DataError, OutOfMemoryError, RunError, counted
from resnext.inference.evaluate import evaluate_examples
from resnext.metrics.several import AnyEvaluation, fitted
from resnext.model.classifier import image_classifier, keras_config
from resnext.model.recompute import recompute
from resnext.recipes.recipe import training_preprocessing
from resnext.runs.config import RunConfig
from resnext.runs.history import EpochRow, History
from resnext.runs.images import ImageRecord
from resnext.runs.report import draw_report
from resnext.runs.run import IMAGES, METRICS, RECORDS, WEIGHTS, Run, command_to_resume, is_run, weights_of_epoch
from resnext.training.build import build_network, check_precision, compile_classifier
from resnext.training.callbacks import Callbacks
from resnext.training.checkpoints import FOLDER as CHECKPOINTS
from resnext.training.checkpoints import Checkpoint, checkpoints, other_contents, other_images
from resnext.training.evaluation_weights import averaged_weights, corrected_statistics
from resnext.training.failures import explained, keep_error, out_of_memory
from resnext.training.fitting_steps import fitting_accumulate
from resnext.training.logs.log import Logs, open_logs
from resnext.training.notes import summary
from resnext.training.probe import fit_head
from resnext.training.progress import TrainingProgress
from resnext.training.recorder import Recorder
from resnext.training.saving import Saving
from resnext.training.schedules import learning_rates
from resnext.training.signals import Stopped, StopRequest
from resnext.training.state import Plan, TrainingState
from resnext.training.variables import build, restore, shapes
from resnext.weights.load import load_weights
from resnext.weights.save import weights_to_bytes

logger = logging.getLogger(__name__)

EVALUATION_BATCH = 256  # images at most
UNFIT_BEFORE = 200  # steps: 0.9**200 of the first batch-norm statistics is less than float32 resolves
STATISTICS_FROM = 32  # batches at most, for the batch norm of averaged weights


@dataclass(frozen=True, eq=False, repr=False)
class TrainingResult:
    """The result of a training; a notebook shows it with its curves."""

    folder: Path
    test: AnyEvaluation  # of the last weights, on the test images
    chosen_on: bool  # whether these images also chose the best epoch
    best_epoch: int
    best_validation_accuracy: float
    plots: tuple[Path, ...]  # including the report, which shows them
    plots_missing: str | None  # reason why some or all are missing
    history: History  # the rows of its epochs, a sequence: `pandas.DataFrame(result.history)`

    def __repr__(self) -> str:
        return f"TrainingResult({self.folder}: test {self.test.headline}; {self.history.best_in_words})"

    def _repr_html_(self) -> str:
        from resnext.pages.notebook import html_of_result

        return html_of_result(self)


class Session:
    """Everything that one process builds for training, from the configuration of a run.

    It starts in this order: 1. the network, with the weights that the run starts from; 2. the compiled classifier
    around it, with all its variables; 3. the checkpoint, if there is one, which replaces all variables.

    Args:
        folder: run folder.
        config: configuration of the run.
        splits: images of the run.
        workers: threads that make batches ahead; None: one per core, at most 8.
        stop: request that is checked after every step.
        cluster: all processes and devices of the training.
        images: hashes of the images, as far as they are known.
        checkpoint: checkpoint to continue from; None starts from the beginning.
        callbacks: functions of a row, and Keras's callbacks.

    Raises:
        ArgumentError: several processes train, and there are callbacks.
        DataError: the checkpoint belongs to other images.
        RunError: it belongs to another network.
    """

    def __init__(
        self,
        folder: Path,
        config: RunConfig,
        splits: Splits,
        workers: int | None,
        stop: StopRequest,
        cluster: Cluster,
        images: ImageRecord,
        checkpoint: Checkpoint | None = None,
        callbacks: Sequence[Any] = (),
    ):
        self.folder, self.config, self.splits, self.cluster, self.stop = folder, config, splits, cluster, stop
        self.given = callbacks
        if callbacks and cluster.processes > 1:
            raise ArgumentError("`callbacks` are for a training in one process. Leave them out.")
        self.check_stop = partial(stop.check, cluster.all_max)
        self.plan = _plan(config, splits)
        cluster.check_shares(self.plan.images)
        self._build_models(None if checkpoint else config.options.weights)  # a checkpoint replaces every variable
        facts = {"config": config.to_json(), "images": fingerprint(splits), "layout": shapes(self.classifier)}
        facts["contents"] = contents_sha256(splits, config.options.seed)
        new = TrainingState(history=History(best_by=config.recipe.best_by))
        self.state = self._restored(checkpoint, facts) if checkpoint else new
        every = config.options.checkpoint_every
        self.saving = Saving(folder, self.plan, self.state, facts, every, cluster)
        metrics = checkpoint.tensors if checkpoint and self.state.is_within_epoch(self.plan) else None
        stopped = partial(stop.stop_requested, cluster.all_max)
        self.recorder = Recorder(self.plan, self.state, self.saving, stopped, metrics)
        self.images, known = images, images.trained
        self.hashes = ImageHashes(splits.train, known if len(known) == len(splits.train) else [])
        preprocessing, share = training_preprocessing(config.recipe), (cluster.rank, cluster.processes)
        self.batches = partial(
            training_batches, splits.train, config.recipe, preprocessing, config.options.seed, workers, share=share,
            hashes=self.hashes,
        )  # fmt: skip

    def _build_models(self, weights: str | None) -> None:
        config, recipe = self.config, self.config.recipe
        self.network = build_network(config, weights)
        trained = recompute(self.network) if config.options.remat else self.network
        self.classifier = image_classifier(trained, training_preprocessing(recipe))
        evaluated = self.classifier
        if config.preprocessing.size != recipe.image_size:
            evaluated = image_classifier(self.network, config.preprocessing)
        self.engine = KerasEngine(evaluated, cluster=self.cluster)
        compile_classifier(self.classifier, self.network, recipe, self.plan.rate, config.several)
        build(self.classifier, len(config.classes))

    def _restored(self, checkpoint: Checkpoint, facts: dict) -> TrainingState:
        """Restore the model from a checkpoint, and return the state in it."""
        then, now = checkpoint.facts, facts
        if then["images"] != now["images"]:
            raise DataError(other_images(self.config.data))
        if then.get("contents", now["contents"]) != now["contents"]:
            raise DataError(other_contents(self.config.data))
        if "contents" not in then and self.cluster.is_main:
            logger.info("its checkpoint is of an earlier version: the images are compared by their names alone")
        old, new = then["layout"], now["layout"]
        if names := sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name)):
            raise RunError(
                f"{self.folder}: its checkpoint belongs to another network (first of {len(names)} differences: "
                f"{names[0]})."
            )
        for group in ("model", "optimizer"):
            restore(self.classifier, checkpoint.tensors, group)
        state = TrainingState.from_facts(then, self.config.recipe.best_by)
        if self.cluster.is_main:
            logger.info(
                f"resuming after step {state.step} ({state.history.epochs} of {self.plan.epochs} epochs evaluated)"
            )
        return state

    def run(self) -> None:
        """Train and evaluate the remaining epochs; however it ends, the run folder keeps everything that was saved."""
        with self._outputs() as (progress, logs), self._callbacks() as callbacks:
            while not self.state.is_over(self.plan):
                self.train_epochs(progress)
                row = self.evaluate_epoch()
                progress.end_epoch(row)
                logs.end_epoch(row)
                if callbacks.end_epoch(row):
                    break
            self.saving.finish()
        history = self.state.history
        if not self.state.is_over(self.plan):
            logger.info(f"ended by a callback after epoch {history.epochs}; `resnext.resume` goes on")
        elif history.epochs < self.plan.epochs and self.cluster.is_main:
            logger.info(f"ended by patience: {counted(history.without_better(), 'evaluation')} without a better one")

    @contextlib.contextmanager
    def _callbacks(self) -> Iterator[Callbacks]:
        """Begin the callbacks of the user, and end them however the training ends."""
        callbacks = Callbacks(self.given, self.classifier, self.plan.epochs, self.state.history.epochs)
        callbacks.begin()
        try:
            yield callbacks
        finally:
            callbacks.end()

    def train_epochs(self, progress: TrainingProgress) -> None:
        """Take the remaining steps before the next evaluation."""
        left, failures = self.state.steps_left(self.plan), []
        if not left:
            return
        if self.config.recipe.optimizer == "lbfgs":
            self._fit_head(left)
            progress.done = self.state.step
            return
        try:
            self.classifier.fit(
                keep_error(self.batches(self.state.step), failures),  # Keras accepts generators only
                steps_per_epoch=left,
                callbacks=[self.recorder, progress],
                shuffle=False,  # the batches are already shuffled
                verbose=0,
            )
        except Exception:
            if failures:
                raise failures[0] from None
            raise

    def _fit_head(self, steps: int) -> None:
        """Fit the head in the place of all steps."""
        power = self.config.recipe.class_weights
        self.state.begin()
        self.state.logs = fit_head(
            self.network, self.splits.train, self.config.preprocessing, self._evaluation_batch, power, self.check_stop,
            self.cluster,
        )  # fmt: skip
        self.state.step += steps

    def evaluate_epoch(self) -> EpochRow:
        """Evaluate the network on the validation images, and save the results of the epoch.

        If the recipe averages the weights, the average is evaluated and saved; training continues with the raw weights.
        A stop during the evaluation leaves a checkpoint from which the evaluation resumes.
        """
        trained = self.state.seconds_of_steps()
        try:
            with self._as_evaluated():
                evaluation = fitted(self.evaluate(self.splits.validation))
                weights = weights_to_bytes(self.network)
                row = self.state.add_row(self.plan, evaluation, trained, sha256_in(weights))
                files = self._files(row, weights)
        except Stopped:
            if not self.stop.raised:
                self.saving.save(self.classifier)
                self.saving.wait_for_all()
            raise
        self.state.end_epoch()
        self.saving.save(self.classifier, files)
        return row

    def evaluate(self, examples: Examples, thresholds: Sequence[float] = ()) -> AnyEvaluation:
        """Evaluate the network on examples, on all devices; thresholds are those of several labels."""
        size = self._evaluation_batch
        return evaluate_examples(self.engine, examples, self.config.preprocessing, size, self.check_stop, thresholds)

    @property
    def _evaluation_batch(self) -> int:
        return min(EVALUATION_BATCH, self.config.recipe.batch_size)

    def _files(self, row: EpochRow, weights: bytes) -> dict[str, bytes]:
        """Return the files of the run after an epoch, in the order of their writing.

        The rows precede the weights, so that the checksum of the weights is always in one of the rows.
        """
        history = self.state.history
        files = {METRICS: history.to_csv().encode(), RECORDS: history.to_jsonl().encode(), WEIGHTS["last"]: weights}
        if self.state.is_over(self.plan) and self.cluster.processes == 1:
            self.hashes.complete()
        if self.hashes.is_new:
            record = dataclasses.replace(self.images, trained=tuple(self.hashes.saved()))
            files[IMAGES] = json.dumps(record.to_json()).encode()
        every, before = self.config.options.keep_every, history.before.epochs
        if every and row.epoch // every > before // every:
            files[weights_of_epoch(row.epoch)] = weights
        return files | ({WEIGHTS["best"]: weights} if history.best is row else {})

    def result(self) -> TrainingResult:
        """Evaluate the last weights on the test images, and draw the report."""
        load_weights(self.network, Run(self.folder, self.config).weights("last"))  # averaged, if the recipe averages
        history = self.state.history
        test = self.evaluate(self.splits.test, history.last.thresholds or ())
        same = self.splits.validation is self.splits.test
        plots, missing = (), None
        if self.cluster.is_main:
            plots, missing = draw_report(self.folder, self.config, history, test, self.splits.test, same)
        best = history.best
        return TrainingResult(self.folder, test, same, best.epoch, best.validation_accuracy, plots, missing, history)

    @contextlib.contextmanager
    def _outputs(self) -> Iterator[tuple[TrainingProgress, Logs]]:
        """Open the progress, the run folder and the logs; close them in order, however the training ends."""
        plan, is_main = self.plan, self.cluster.is_main
        for line in summary(self.config, self.splits, self.network) if is_main else ():
            logger.info(line)
        logs = open_logs(self.folder, self.config) if is_main else Logs()
        is_new = is_main and not is_run(self.folder)
        run = Run.create(self.folder, self.config, self.splits.held_out, self.images) if is_new else None
        self.stop.outcome = self._outcome
        with at_any_end(partial(self._discard_unsaved, run)):
            by = self.config.recipe.best_by
            progress = TrainingProgress(plan.images, plan.steps, plan.epochs, self.state.step, is_main, by)
            try:
                yield progress, logs
            finally:
                self.saving.join()
                progress.close()  # also when training fails, to restore the terminal's cursor
                logs.close()

    def _discard_unsaved(self, run: Run | None) -> None:
        """Remove a run that this session began, if it has nothing to resume from."""
        if run and not checkpoints(self.folder / CHECKPOINTS):
            run.discard()

    def _outcome(self) -> str:
        """Return where the training stopped and how to resume it."""
        if not checkpoints(self.folder / CHECKPOINTS):
            return "; nothing was saved"
        where = "in the middle of a step" if self.stop.raised else f"after step {self.state.step}"
        return f" {where}; resume with: {command_to_resume(self.folder)}"

    def _as_evaluated(self) -> contextlib.AbstractContextManager:
        """Return a context in which the network has averaged weights, if the recipe keeps them, and fitting statistics.

        The statistics that come with loaded weights are usable from the start.
        """
        if not self.config.recipe.ema:
            unfit = self.state.step < UNFIT_BEFORE and not self.config.options.weights
            return corrected_statistics(self.classifier, self.state.step) if unfit else contextlib.nullcontext()

        def images():
            for batch in self.batches():
                self.check_stop()
                yield self.cluster.shard(batch[0])

        return averaged_weights(self.classifier, images(), min(self.plan.steps, STATISTICS_FROM))


def train_session(
    folder: Path,
    config: RunConfig,
    splits: Splits,
    workers: int | None,
    stop: StopRequest,
    cluster: Cluster,
    images: ImageRecord,
    checkpoint: Checkpoint | None = None,
    callbacks: Sequence[Any] = (),
) -> TrainingResult:
    """Build a session, from a checkpoint if there is one, and train to the end; the arguments are `Session`'s."""
    check_precision(config.options.dtype)
    keras.utils.set_random_seed(config.options.seed)
    with keras_config(config.options.dtype, "channels_last"), cluster.scope():
        try:
            session = Session(folder, config, splits, workers, stop, cluster, images, checkpoint, callbacks)
            session.run()
            result = session.result()
        except Exception as error:
            at_once = _plan(config, splits).images
            known = explained(error, folder, cluster, at_once, config.recipe.image_size)
            if isinstance(known, OutOfMemoryError) and cluster.processes == 1:
                parts = fitting_accumulate(config, at_once * config.recipe.accumulate, error)
                known = known if parts is None else out_of_memory(at_once, config.recipe.image_size, parts)
            if known:
                raise known from error
            raise
    shutdown(cluster)
    return result


def _plan(config: RunConfig, splits: Splits) -> Plan:
    recipe, train = config.recipe, splits.train
    steps = steps_per_epoch(train, recipe)
    images = images_per_step(train, recipe) // recipe.accumulate
    names = partial(images_of_batch, train, recipe, config.options.seed)
    rates, every = learning_rates(recipe, steps), recipe.evaluate_every
    return Plan(recipe.epochs, steps, images, every, recipe.patience, rates, names)
