"""What happens around the steps of a training: progress on the terminal, and the run folder after each epoch."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path

import keras
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from resnext.evaluate import Evaluation
from resnext.files import write_atomically
from resnext.pictures import MissingPackageError
from resnext.run import METRICS, RECORDS, WEIGHTS
from resnext.weights import save_weights

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


class TrainingDiverged(RuntimeError):
    """The loss is no longer a number; the weights of the epochs before are in the run folder."""


class ShowProgress(keras.callbacks.Callback):
    """Images a second, loss, accuracy and the time left: as a bar on a terminal, as lines in a log.

    It comes after `KeepRun`; the caller stops the bar.
    """

    def __init__(self, console: Console, images_per_step: int):
        super().__init__()
        self.console = console
        self.images_per_step = images_per_step
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

    def on_train_begin(self, logs=None):
        steps = self.params["steps"] * self.params["epochs"]
        self.task = self.bar.add_task("", total=steps, epoch=1, said="")
        self.bar.start()
        self.began = self.spoke = time.perf_counter()

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self.rate = epoch + 1, 0.0
        self.bar.update(self.task, epoch=self.epoch)
        self.started, self.steps = time.perf_counter(), 0

    def on_train_batch_end(self, batch, logs):
        now = time.perf_counter()
        self.steps += 1
        self.rate = self.steps * self.images_per_step / (now - self.started)
        said = f"loss {float(logs['loss']):.3f}  train {100 * float(logs['accuracy']):.2f} %  {self.rate:.1f} images/s"
        self.bar.update(self.task, advance=1, said=said)
        if batch == 0:
            self.started, self.steps = now, 0  # the first step may compile: the rate is that of the others
        if now - self.spoke >= LINE_EVERY and not self.console.is_terminal:
            self._say(f"epoch {self.epoch}/{self.params['epochs']}  step {batch + 1}/{self.params['steps']}  {said}")

    def on_epoch_end(self, epoch, logs):
        left = (time.perf_counter() - self.began) / self.epoch * (self.params["epochs"] - self.epoch)
        self._say(
            f"epoch {self.epoch}/{self.params['epochs']}  loss {logs['loss']:.4f}  "
            f"train {100 * logs['accuracy']:.2f} %  validation {100 * logs['validation_accuracy']:.2f} %  "
            f"{self.rate:.1f} images/s  {timedelta(seconds=round(left))} left"
        )

    def _say(self, line: str) -> None:
        self.console.print(line, highlight=False, soft_wrap=True)
        self.spoke = time.perf_counter()


class KeepRun(keras.callbacks.Callback):
    """After each epoch: judge the network, add a row to metrics.csv, write the last weights, and the best.

    Raises:
        TrainingDiverged: the loss of an epoch is not finite; nothing of that epoch is written.
    """

    def __init__(
        self,
        folder: Path,
        network: keras.Model,
        judge: Callable[[], Evaluation],
        averaged: Callable[[keras.Model], AbstractContextManager],
        images_per_step: int,
    ):
        super().__init__()
        self.folder = folder
        self.network = network
        self.judge = judge
        self.averaged = averaged
        self.images_per_step = images_per_step
        self.rows: list[dict[str, float]] = []

    def on_epoch_begin(self, epoch, logs=None):
        self.first_rate = self._learning_rate()
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch, logs):
        self.trained = time.perf_counter()
        _check_finite("loss", logs["loss"], epoch)
        with self.averaged(self.model):
            evaluation = self.judge()
            _check_finite("validation loss", evaluation.loss, epoch)
            logs["validation_accuracy"] = evaluation.top(1)
            self._keep(epoch, logs, evaluation)

    def _keep(self, epoch, logs, evaluation: Evaluation) -> None:
        accuracy = logs["validation_accuracy"]
        row = {
            "epoch": epoch + 1,
            "learning_rate": max(self.first_rate, self._learning_rate()),  # the higher of its first and its last
            "train_loss": float(logs["loss"]),
            "train_accuracy": float(logs["accuracy"]),
            "validation_loss": evaluation.loss,
            "validation_accuracy": accuracy,
            "seconds": time.perf_counter() - self.started,
            "images_per_second": self.params["steps"] * self.images_per_step / (self.trained - self.started),
        }
        best = max((row["validation_accuracy"] for row in self.rows), default=-1.0)
        self.rows.append(row)
        logs.update(row)
        write_atomically(self.folder / METRICS, _csv(self.rows).encode())
        lines = [json.dumps(row) + "\n" for row in self.rows]
        write_atomically(self.folder / RECORDS, "".join(lines).encode())
        save_weights(self.network, self.folder / WEIGHTS["last"])
        if accuracy > best:
            save_weights(self.network, self.folder / WEIGHTS["best"])

    def _learning_rate(self) -> float:
        return float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))


def _check_finite(name: str, loss: float, epoch: int) -> None:
    if not np.isfinite(loss):
        raise TrainingDiverged(
            f"the {name} is {loss} in epoch {epoch + 1}: training diverged. Use a lower --learning-rate or another "
            "--dtype."
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


class WriteEvents(keras.callbacks.Callback):
    """Curves for TensorBoard. It comes after `KeepRun`, whose rows it writes.

    Raises:
        MissingPackageError: the package tensorboardX is not there.
    """

    def __init__(self, folder: Path):
        super().__init__()
        try:
            from tensorboardX import SummaryWriter
        except ModuleNotFoundError as error:
            needs = "--tensorboard needs the package tensorboardX: pip install 'resnext[tensorboard]'"
            raise MissingPackageError(needs) from error
        self.make, self.folder = SummaryWriter, folder
        self.writer = None

    def on_epoch_end(self, epoch, logs):
        # Not before: of a run that ends in its first epoch nothing is left.
        self.writer = self.writer or self.make(str(self.folder))
        for name, tag in TAGS.items():
            self.writer.add_scalar(tag, logs[name], epoch + 1)
        self.writer.flush()

    def on_train_end(self, logs=None):
        if self.writer:
            self.writer.close()
