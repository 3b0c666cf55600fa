"""Progress of a training: a bar on a terminal or in a notebook, and lines that stay."""

from __future__ import annotations

import logging
import sys
import time
from datetime import timedelta
from typing import Any, Protocol

import keras
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from resnext.log import is_quiet
from resnext.recipes.recipe import BestBy
from resnext.runs.history import EpochRow, metric_in_words

logger = logging.getLogger(__name__)

TEXT, LEAST_BAR = 82, 10  # columns of what stands beside a bar, and of the shortest one
LINE_EVERY = 60.0  # seconds, without a bar
REDRAWN_EVERY = 0.5  # seconds, in a notebook


class TrainingProgress(keras.callbacks.Callback):
    """Images per second, loss, accuracy and the time left.

    The caller reports the end of an epoch, and closes the bar.

    Args:
        images_per_step: images in a step, for the rate.
        steps: steps in an epoch.
        epochs: epochs of the training.
        done: steps already done.
        is_shown: whether anything is shown at all.
        best_by: metric that chooses the best epoch, shown beside the accuracy.
    """

    def __init__(
        self, images_per_step: int, steps: int, epochs: int, done: int, is_shown: bool, best_by: BestBy = "top1"
    ):
        super().__init__()
        self.best_by: BestBy = best_by
        self.images_per_step = images_per_step
        self.steps, self.epochs, self.done, self.first = steps, epochs, done, done
        self.is_shown = is_shown
        self.bar = _open_bar(steps * epochs, done) if is_shown and not is_quiet() else None
        self.began = self.reported = time.perf_counter()

    def on_epoch_begin(self, epoch, logs=None):
        self.rate = 0.0
        self.started, self.counted = time.perf_counter(), 0

    def on_train_batch_end(self, batch, logs):
        now = time.perf_counter()
        self.done, self.counted = self.done + 1, self.counted + 1
        self.rate = self.counted * self.images_per_step / (now - self.started)
        epoch, step = divmod(self.done - 1, self.steps)
        facts = f"loss {float(logs['loss']):.3f}  train {100 * float(logs['accuracy']):.2f} %  {self.rate:.1f} images/s"
        if batch == 0:
            self.started, self.counted = now, 0  # the first step may compile, so it does not count
        if self.bar:
            self.bar.show(self.done, f"epoch {epoch + 1}", facts)
        elif now - self.reported >= LINE_EVERY:
            self._log(f"epoch {epoch + 1}/{self.epochs}  step {step + 1}/{self.steps}  {facts}")

    def end_epoch(self, row: EpochRow) -> None:
        """Log the row of an epoch."""
        spent = time.perf_counter() - self.began
        left = spent / max(self.done - self.first, 1) * (self.steps * self.epochs - self.done)
        chosen = "" if self.best_by == "top1" else f"{metric_in_words(row, self.best_by)}  "
        rate = f"{row.images_per_second:.1f} images/s  " if row.images_per_second else ""  # resumed after its last step
        self._log(
            f"epoch {row.epoch}/{self.epochs}  loss {row.train_loss:.4f}  "
            f"train {100 * row.train_accuracy:.2f} %  validation {100 * row.validation_accuracy:.2f} %  "
            f"{chosen}{rate}{timedelta(seconds=round(left))} left"
        )

    def close(self) -> None:
        """Remove the bar and restore the terminal's cursor."""
        if self.bar:
            self.bar.close()

    def _log(self, line: str) -> None:
        if self.is_shown:
            logger.info(line)
        self.reported = time.perf_counter()


class _Bar(Protocol):
    """Something that shows how many steps are done."""

    def show(self, done: int, epoch: str, facts: str) -> None: ...

    def close(self) -> None: ...


def _open_bar(steps: int, done: int) -> _Bar | None:
    """Return a bar for a terminal or a notebook; None without either."""
    console = Console(stderr=True, force_terminal=sys.stderr.isatty(), soft_wrap=True)
    if console.is_jupyter:
        return _NotebookBar(steps)
    return _TerminalBar(console, steps, done) if console.is_terminal else None


class _TerminalBar:
    """A line below all others; everything printed to standard error appears above it."""

    def __init__(self, console: Console, steps: int, done: int):
        room = console.width - TEXT  # a narrow terminal keeps the numbers
        self.progress = Progress(
            TextColumn("{task.fields[epoch]}"),
            *([BarColumn(min(40, room))] if room >= LEAST_BAR else []),
            MofNCompleteColumn(),
            TextColumn("steps {task.fields[facts]}"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=console,
            transient=True,
        )
        self.task = self.progress.add_task("", total=steps, completed=done, epoch="epoch 1", facts="")
        self.progress.start()

    def show(self, done: int, epoch: str, facts: str) -> None:
        self.progress.update(self.task, completed=done, epoch=epoch, facts=facts)

    def close(self) -> None:
        self.progress.stop()


class _NotebookBar:
    """One line in a cell's output, rewritten in place."""

    def __init__(self, steps: int):
        from IPython.display import display

        self.steps, self.drawn = steps, 0.0
        self.output: Any = display(self._content(""), raw=True, display_id=True)

    def show(self, done: int, epoch: str, facts: str) -> None:
        if time.perf_counter() - self.drawn >= REDRAWN_EVERY:
            self.drawn = time.perf_counter()
            share = 30 * done // self.steps
            bar = "█" * share + "░" * (30 - share)
            self.output.update(self._content(f"{epoch} {bar} {done:,}/{self.steps:,} steps  {facts}"), raw=True)

    def close(self) -> None:
        self.output.update(self._content(""), raw=True)

    def _content(self, line: str) -> dict[str, str]:
        return {"text/plain": line}
