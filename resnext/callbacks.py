"""What happens around the steps of a training: progress on the terminal, and the run folder after each epoch."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import keras
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from resnext.evaluate import Evaluation
from resnext.files import write_atomically
from resnext.run import METRICS, WEIGHTS
from resnext.weights import save_weights


class TrainingDiverged(RuntimeError):
    """The loss is no longer a number; the weights of the epochs before are in the run folder."""


class ShowProgress(keras.callbacks.Callback):
    """A bar with images a second and the time left, and one line for every epoch. The caller stops the bar."""

    def __init__(self, console: Console, images_per_step: int):
        super().__init__()
        self.console = console
        self.images_per_step = images_per_step
        self.bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("steps  loss {task.fields[loss]}  {task.fields[rate]:.1f} images/s "),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=console,
            transient=True,
        )

    def on_train_begin(self, logs=None):
        steps = self.params["steps"] * self.params["epochs"]
        self.task = self.bar.add_task("", total=steps, epoch=1, loss="-", rate=0.0)
        self.bar.start()

    def on_epoch_begin(self, epoch, logs=None):
        self.bar.update(self.task, epoch=epoch + 1)
        self.started, self.steps = time.perf_counter(), 0

    def on_train_batch_end(self, batch, logs):
        now = time.perf_counter()
        self.steps += 1
        rate = self.steps * self.images_per_step / (now - self.started)
        self.bar.update(self.task, advance=1, rate=rate, loss=f"{float(logs['loss']):.3f}")
        if batch == 0:
            self.started, self.steps = now, 0  # the first step may compile: the rate is that of the others

    def on_epoch_end(self, epoch, logs):
        rate = self.bar.tasks[self.task].fields["rate"]
        self.console.print(
            f"epoch {epoch + 1}/{self.params['epochs']}  loss {logs['loss']:.4f}  "
            f"train {100 * logs['accuracy']:.2f} %  validation {100 * logs['validation_accuracy']:.2f} %  "
            f"{rate:.1f} images/s",
            highlight=False,
        )


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
    ):
        super().__init__()
        self.folder = folder
        self.network = network
        self.judge = judge
        self.averaged = averaged
        self.rows: list[dict[str, float]] = []

    def on_epoch_begin(self, epoch, logs=None):
        self.first_rate = self._learning_rate()

    def on_epoch_end(self, epoch, logs):
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
        }
        best = max((row["validation_accuracy"] for row in self.rows), default=-1.0)
        self.rows.append(row)
        write_atomically(self.folder / METRICS, _csv(self.rows).encode())
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
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
