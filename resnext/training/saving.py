"""Saving a training while it continues: when a checkpoint is due, and the thread that writes it."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from resnext.distributed import Cluster
from resnext.errors import SavingError
from resnext.files import write_atomically
from resnext.runs.run import command_to_resume
from resnext.training.checkpoints import FOLDER, Facts, Tensors, checkpoint_name, prune, write_checkpoint
from resnext.training.state import Plan, TrainingState
from resnext.training.variables import capture

logger = logging.getLogger(__name__)

SAVE_EVERY = 300.0  # seconds: the most that a kill can cost
FAILURES = 3  # in a row, after which the training ends


class Saving:
    """Saves the state of a training, and the files of its epochs, in the main process.

    Args:
        folder: run folder.
        plan: plan of the training.
        state: its state.
        facts: facts that every checkpoint holds in addition to the state.
        every: steps between two checkpoints; None saves by time.
        cluster: all processes of the training.

    Its methods raise TrainingDiverged if a weight is not finite, and SavingError after three failures in a row.
    """

    def __init__(
        self,
        folder: Path,
        plan: Plan,
        state: TrainingState,
        facts: Mapping[str, Any],
        every: int | None,
        cluster: Cluster,
    ):
        self.plan, self.state, self.facts, self.every, self.cluster = plan, state, facts, every, cluster
        self.writer = Writer(folder)
        self.saved = time.monotonic()

    def is_due(self) -> bool:
        """Return whether a checkpoint is due and none is being written."""
        if self.writer.busy:
            return False
        if self.every:
            return self.state.step % self.every == 0
        return time.monotonic() - self.saved >= SAVE_EVERY

    def save(self, classifier: keras.Model, files: Mapping[str, bytes] | None = None) -> None:
        """Write a checkpoint, and files of the run, while training continues."""
        if not self.cluster.is_main:
            return
        history = self.state.history
        best = history.best if len(history) else None
        name = checkpoint_name(best.epoch * self.plan.steps, best.epoch) if best else ""
        self.check(wait=True)
        self.writer.start(capture(classifier), {**self.facts, **self.state.to_facts()}, files or {}, name)
        self.saved = time.monotonic()

    def check(self, wait: bool = False) -> None:
        """Raise the writing thread's error, if it has ended with one; with `wait`, wait for it first."""
        try:
            self.writer.wait() if wait else self.writer.check()
        except FloatingPointError as error:
            raise self.state.diverged(self.plan, f"{error} is not finite") from None

    def wait_for_all(self) -> None:
        """Wait until the main process has written, because a launcher may end all processes when one ends."""
        self.check(wait=True)
        self.cluster.all_max(0)

    def finish(self) -> None:
        """Wait until the last epoch is written, and retry failed writes."""
        self.check(wait=True)
        self.writer.finish()
        self.cluster.all_max(0)

    def join(self) -> None:
        """Wait for the writing thread, and raise nothing, because the training has already ended."""
        self.writer.join()


class Writer:
    """Writes files and checkpoints while training continues, one checkpoint at a time.

    A failed write is reported and retried with the next one; the third failure in a row ends the training.

    Args:
        folder: run folder.
    """

    def __init__(self, folder: Path):
        self.folder, self.place = folder, _place(folder)
        self.pending: dict[str, bytes] = {}
        self.failures = 0
        self.error: Exception | None = None
        self.thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        return self.thread is not None and self.thread.is_alive()

    def start(self, tensors: Tensors, facts: Facts, files: Mapping[str, bytes], best: str) -> None:
        """Start writing in a thread once the previous checkpoint is written. The tensors must not change later."""
        self.wait()
        latest = {**self.pending, **files}
        self.pending = {name: latest[name] for name in (*files, *self.pending)}  # rows before weights
        self.thread = threading.Thread(target=self._write, args=(tensors, facts, best))
        self.thread.start()

    def wait(self) -> None:
        """Wait until everything is written. Raises SavingError, or the error of an earlier attempt."""
        if self.thread is not None:
            self.thread.join()
            self.thread = None
        if self.error:
            raise self.error

    def join(self) -> None:
        """Wait, and raise nothing, because the training has already ended."""
        if self.thread is not None:
            self.thread.join()

    def finish(self) -> None:
        """Retry failed writes. Raises SavingError."""
        try:
            self._write_files()
        except OSError as error:
            raise SavingError(f"{self.folder}: {error}. {self._advice(error)}") from error

    def check(self) -> None:
        """Raise what `wait` would raise, without waiting."""
        if not self.busy:
            self.wait()

    def _write(self, tensors: Tensors, facts: Facts, best: str) -> None:
        try:
            bad = next((name for name, values in tensors.items() if not _is_finite(values)), None)
            if bad:
                self.error = FloatingPointError(bad)
                return
            self._write_files()
            write_checkpoint(self.folder / FOLDER, tensors, facts)
            prune(self.folder / FOLDER, best)
            self.failures = 0
        except OSError as error:
            self.failures += 1
            self._report_failure(error, facts["step"], sum(values.nbytes for values in tensors.values()))
        except Exception as error:
            self.error = error

    def _write_files(self) -> None:
        if self.place and _place(self.folder) != self.place:
            raise FileNotFoundError(f"{self.folder} was moved, and is not the folder of this training any more")
        for name in [*self.pending]:
            write_atomically(self.folder / name, self.pending[name])
            del self.pending[name]

    def _advice(self, error: OSError) -> str:
        what = "Move it back" if isinstance(error, FileNotFoundError) else "Free some space"
        return f"{what}, then resume with: {command_to_resume(self.folder)}"

    def _report_failure(self, error: OSError, step: int, size: int) -> None:
        what = f"{self.folder}: could not write the checkpoint for step {step} ({math.ceil(size / 1e6)} MB): {error}"
        if self.failures == FAILURES:
            self.error = SavingError(f"{what}. This was the third failure in a row. {self._advice(error)}")
        else:
            logger.warning(f"{what}. Training continues; earlier checkpoints are intact")


def _place(folder: Path) -> tuple[int, int] | None:
    """Return what identifies a folder, whatever it is called; None if it does not exist."""
    try:
        status = folder.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _is_finite(values: np.ndarray) -> bool:
    # Integers are always finite; NumPy does not know bfloat16 as a kind of float.
    return values.dtype.kind in "iub" or bool(np.isfinite(values.astype(np.float32, copy=False)).all())
