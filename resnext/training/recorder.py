"""What happens around the steps of a training: progress on the terminal, checkpoints, the run folder after an epoch."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from resnext.distributed import World
from resnext.errors import TrainingDiverged
from resnext.runs.evaluate import Evaluation
from resnext.runs.run import METRICS, RECORDS, WEIGHTS
from resnext.training.checkpoints import Checkpoint, Saver, Tensors, name_of
from resnext.training.signals import Stopped, StopRequest
from resnext.training.state import give, take
from resnext.weights.save import packed

TIMES = ("seconds", "images_per_second")
SAVE_EVERY = 300.0  # seconds: what a kill can cost
NAMED = 16  # images of a bad step


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
