"""What happens around the steps of a training: progress on the terminal, checkpoints, the run folder after an epoch."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import keras
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from resnext.checkpoints import Checkpoint, Saver, Tensors, name_of
from resnext.distributed import World
from resnext.evaluate import Evaluation
from resnext.pictures import MissingPackageError
from resnext.run import METRICS, RECORDS, WEIGHTS
from resnext.state import give, take
from resnext.stopping import Stopped, StopRequest
from resnext.weights.save import packed

TIMES = ("seconds", "images_per_second")
TAGS = {
    "train_loss": "loss/train",
    "validation_loss": "loss/validation",
    "train_accuracy": "accuracy/train",
    "validation_accuracy": "accuracy/validation",
    "learning_rate": "learning_rate",
    "images_per_second": "images_per_second",
}
LINE_EVERY = 60.0  # seconds, in a log file
SAVE_EVERY = 300.0  # seconds: what a kill can cost
NAMED = 16  # images of a bad step


class TrainingDiverged(RuntimeError):
    """The loss is no longer a number; what was saved before is as it was."""


class ShowProgress(keras.callbacks.Callback):
    """Images a second, loss, accuracy and the time left: as a bar on a terminal, as lines in a log.

    The caller says when an epoch is judged, and stops the bar.

    Args:
        console: where to.
        images_per_step: for the rate.
        steps: of an epoch.
        epochs: of the whole training.
        done: steps of it that are done already.
    """

    def __init__(self, console: Console, images_per_step: int, steps: int, epochs: int, done: int):
        super().__init__()
        self.console = console
        self.images_per_step = images_per_step
        self.steps, self.epochs, self.done, self.first = steps, epochs, done, done
        self.bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("steps  {task.fields[said]} "),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.task = self.bar.add_task("", total=steps * epochs, completed=done, epoch=1, said="")
        self.bar.start()
        self.began = self.spoke = time.perf_counter()

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self.rate = epoch + 1, 0.0
        self.bar.update(self.task, epoch=self.epoch)
        self.started, self.counted = time.perf_counter(), 0

    def on_train_batch_end(self, batch, logs):
        now = time.perf_counter()
        self.done, self.counted = self.done + 1, self.counted + 1
        self.rate = self.counted * self.images_per_step / (now - self.started)
        said = f"loss {float(logs['loss']):.3f}  train {100 * float(logs['accuracy']):.2f} %  {self.rate:.1f} images/s"
        self.bar.update(self.task, advance=1, said=said)
        if batch == 0:
            self.started, self.counted = now, 0  # the first step may compile: the rate is that of the others
        if now - self.spoke >= LINE_EVERY and not self.console.is_terminal:
            step = (self.done - 1) % self.steps + 1
            self.say(f"epoch {self.epoch}/{self.epochs}  step {step}/{self.steps}  {said}")

    def end_epoch(self, row: dict[str, float]) -> None:
        """Show what an epoch came to."""
        spent = time.perf_counter() - self.began
        left = spent / max(self.done - self.first, 1) * (self.steps * self.epochs - self.done)
        self.say(
            f"epoch {row['epoch']}/{self.epochs}  loss {row['train_loss']:.4f}  "
            f"train {100 * row['train_accuracy']:.2f} %  validation {100 * row['validation_accuracy']:.2f} %  "
            f"{row['images_per_second']:.1f} images/s  {timedelta(seconds=round(left))} left"
        )

    def say(self, line: str) -> None:
        """A line that stays, above the bar."""
        self.console.print(line, highlight=False, soft_wrap=True)
        self.spoke = time.perf_counter()


class KeepRun(keras.callbacks.Callback):
    """Counts the steps, saves the training between them, and keeps what each epoch came to.

    Args:
        folder: of the run.
        network: whose weights are kept after each epoch.
        steps: of an epoch.
        rate: the learning rate of a step, counted from 0.
        images: the names of a step's images, and how many a step has.
        facts: what every checkpoint holds beside the state.
        every: steps from one checkpoint to the next; None goes by time.
        stop: asked after every step.
        say: is told what could not be saved.
        world: whose first process saves.

    Raises:
        TrainingDiverged: a loss or a weight is not finite; nothing of it is saved.
        SavingError: nothing could be saved three times in a row.
        Stopped: a stop was asked for, and all is saved.
    """

    def __init__(
        self,
        folder: Path,
        network: keras.Model,
        steps: int,
        rate: Callable[[int], float],
        images: tuple[Callable[[int], list[str]], int],
        facts: dict[str, Any],
        every: int | None,
        stop: StopRequest,
        say: Callable[[str], None],
        world: World,
    ):
        super().__init__()
        self.network, self.world = network, world
        self.steps, self.rate, self.facts, self.every, self.stop = steps, rate, facts, every, stop
        self.images_of, self.images_per_step = images
        self.saver = Saver(folder, say)
        self.rows: list[dict[str, float]] = []
        self.logs: dict[str, float] = {}
        self.step = self.first = 0  # batches done, and those before this sitting or epoch
        self.spent = 0.0  # seconds of the epoch, in earlier sittings
        self.metrics: Tensors = {}  # that the epoch went on with
        self.started = self.saved = time.monotonic()

    def go_on(self, classifier: keras.Model, checkpoint: Checkpoint) -> None:
        """Make of a compiled model and of this what the checkpoint holds."""
        tensors, facts = checkpoint
        for group in ("model", "optimizer"):
            give(classifier, tensors, group)
        self.step, self.rows, self.logs, self.spent = (facts[name] for name in ("step", "rows", "logs", "spent"))
        self.first = self.step
        if self.step % self.steps:
            self.metrics = tensors  # of the epoch so far: Keras clears them when it begins

    def on_epoch_begin(self, epoch, logs=None):
        self.started, self.first = time.monotonic(), self.step
        if self.metrics:
            give(self.model, self.metrics, "metrics")
            self.metrics = {}

    def on_train_batch_end(self, batch, logs):
        self.step += 1
        self.logs = {name: float(logs[name]) for name in ("loss", "accuracy")}
        self._check_finite("loss", self.logs["loss"])
        self._check_saved()
        stopped = self.stop.asked()
        if stopped or (self._is_due() and not self.saver.busy):
            self._save(self.model)
        if stopped:
            self._wait_for_all()
            raise stopped

    def _is_due(self) -> bool:
        if self.every:
            return self.step % self.every == 0
        return time.monotonic() - self.saved >= SAVE_EVERY

    def end_epoch(self, classifier: keras.Model, averaged, judge: Callable[[], Evaluation]) -> dict[str, float]:
        """Judge the network, with its averaged weights inside `averaged`; keep the row, the weights, and a checkpoint.

        A stop on the way leaves a checkpoint that goes on with the judging.
        """
        trained = time.monotonic()
        try:
            with averaged(classifier):
                evaluation = judge()
                self._check_finite("validation loss", evaluation.loss)
                files = self._files_with(self._row(evaluation, trained))
        except Stopped:
            self._save(classifier)
            self._wait_for_all()
            raise
        self.spent = 0.0
        self._save(classifier, files)
        return self.rows[-1]

    def _row(self, evaluation: Evaluation, trained: float) -> dict[str, float]:
        epoch = len(self.rows)
        seconds = trained - self.started
        return {
            "epoch": epoch + 1,
            "learning_rate": max(self.rate(epoch * self.steps), self.rate((epoch + 1) * self.steps)),
            "train_loss": self.logs["loss"],
            "train_accuracy": self.logs["accuracy"],
            "validation_loss": evaluation.loss,
            "validation_accuracy": evaluation.top(1),
            "seconds": self.spent + time.monotonic() - self.started,
            "images_per_second": (self.step - self.first) * self.images_per_step / seconds,
        }

    def _files_with(self, row: dict[str, float]) -> dict[str, bytes]:
        """The files of a run with one row more."""
        best = max((row["validation_accuracy"] for row in self.rows), default=-1.0)
        self.rows.append(row)
        weights = packed(self.network)
        lines = [json.dumps(row) + "\n" for row in self.rows]
        files = {METRICS: _csv(self.rows).encode(), RECORDS: "".join(lines).encode(), WEIGHTS["last"]: weights}
        return {**files, WEIGHTS["best"]: weights} if row["validation_accuracy"] > best else files

    def _save(self, classifier: keras.Model, files: dict[str, bytes] | None = None) -> None:
        if not self.world.is_first:
            return
        spent = self.spent + time.monotonic() - self.started
        facts = {
            **self.facts,
            "step": self.step,
            "epochs": len(self.rows),
            "rows": [*self.rows],
            "logs": self.logs,
            "spent": spent,
        }
        best = max(self.rows, key=lambda row: row["validation_accuracy"], default=None)
        name = name_of(int(best["epoch"]) * self.steps, int(best["epoch"])) if best else ""
        self._check_saved(wait=True)
        self.saver.start(take(classifier), facts, files or {}, name)
        self.saved = time.monotonic()

    def finish(self) -> None:
        """Until all that the last epoch left is written; what could not be is tried again. Raises SavingError."""
        self._check_saved(wait=True)
        self.saver.finish()
        self.world.agreed(0)

    def _wait_for_all(self) -> None:
        """Until the first process has written: a launcher may end all when one ends."""
        self._check_saved(wait=True)
        self.world.agreed(0)

    def _check_saved(self, wait: bool = False) -> None:
        try:
            self.saver.wait() if wait else self.saver.check()
        except FloatingPointError as error:
            raise self._diverged(f"{error} is not finite") from None

    def _check_finite(self, name: str, loss: float) -> None:
        if not np.isfinite(loss):
            raise self._diverged(f"the {name} is {loss}")

    def _diverged(self, what: str) -> TrainingDiverged:
        epoch, names = -(-self.step // self.steps), self.images_of(self.step - 1)
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        return TrainingDiverged(
            f"{what} after step {self.step}, in epoch {epoch}: training diverged, and nothing of it is saved. Use a "
            f"lower --learning-rate or another --dtype. The step's images: {', '.join(names[:NAMED])}{more}"
        )


def _csv(rows: list[dict[str, float]]) -> str:
    """Without the times, which are never the same."""
    text = io.StringIO()
    writer = csv.DictWriter(
        text, [name for name in rows[0] if name not in TIMES], lineterminator="\n", extrasaction="ignore"
    )
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


class WriteEvents:
    """Curves for TensorBoard.

    Raises:
        MissingPackageError: the package tensorboardX is not there.
    """

    def __init__(self, folder: Path):
        try:
            from tensorboardX import SummaryWriter
        except ModuleNotFoundError as error:
            needs = "--tensorboard needs the package tensorboardX: pip install 'resnext[tensorboard]'"
            raise MissingPackageError(needs) from error
        self.make, self.folder = SummaryWriter, folder
        self.writer = None

    def end_epoch(self, row: dict[str, float]) -> None:
        """Add the row of an epoch."""
        # The file is not made before: of a run that ends in its first epoch nothing is left.
        self.writer = self.writer or self.make(str(self.folder))
        for name, tag in TAGS.items():
            self.writer.add_scalar(tag, row[name], row["epoch"])
        self.writer.flush()

    def close(self) -> None:
        """No more rows."""
        if self.writer:
            self.writer.close()
