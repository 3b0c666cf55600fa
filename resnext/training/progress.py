"""Progress of a training on the terminal, or in a log."""

from __future__ import annotations

import time
from datetime import timedelta

import keras
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from resnext.runs.history import EpochRow

LINE_EVERY = 60.0  # seconds, in a log file


class ProgressBar(keras.callbacks.Callback):
    """Images per second, loss, accuracy and the time left: a bar on a terminal, lines in a log.

    The caller reports the end of an epoch, and stops the bar.

    Args:
        console: console to print to.
        images_per_step: images in a step, for the rate.
        steps: steps in an epoch.
        epochs: epochs of the training.
        done: steps that are done already.
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
        self.rate = 0.0
        self.started, self.counted = time.perf_counter(), 0

    def on_train_batch_end(self, batch, logs):
        now = time.perf_counter()
        self.done, self.counted = self.done + 1, self.counted + 1
        self.rate = self.counted * self.images_per_step / (now - self.started)
        epoch, step = divmod(self.done - 1, self.steps)
        said = f"loss {float(logs['loss']):.3f}  train {100 * float(logs['accuracy']):.2f} %  {self.rate:.1f} images/s"
        self.bar.update(self.task, advance=1, epoch=epoch + 1, said=said)
        if batch == 0:
            self.started, self.counted = now, 0  # the first step may compile: the rate is that of the others
        if now - self.spoke >= LINE_EVERY and not self.console.is_terminal:
            self.print(f"epoch {epoch + 1}/{self.epochs}  step {step + 1}/{self.steps}  {said}")

    def end_epoch(self, row: EpochRow) -> None:
        """Print the row of an epoch."""
        spent = time.perf_counter() - self.began
        left = spent / max(self.done - self.first, 1) * (self.steps * self.epochs - self.done)
        rate = f"{row.images_per_second:.1f} images/s  " if row.images_per_second else ""  # resumed after its last step
        self.print(
            f"epoch {row.epoch}/{self.epochs}  loss {row.train_loss:.4f}  "
            f"train {100 * row.train_accuracy:.2f} %  validation {100 * row.validation_accuracy:.2f} %  "
            f"{rate}{timedelta(seconds=round(left))} left"
        )

    def stop(self) -> None:
        """Give the terminal its cursor back."""
        self.bar.stop()

    def print(self, line: str) -> None:
        """Print a line that stays, above the bar."""
        self.console.print(line, highlight=False, soft_wrap=True)
        self.spoke = time.perf_counter()
