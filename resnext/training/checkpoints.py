"""Checkpoints: a training between two steps, complete and verified, or absent.

RUN/checkpoints/step-000001200-0002/   after 1,200 batches, when 2 epochs were evaluated
    state.safetensors                  every variable: weights, statistics, seeds, optimizer, averages, metrics
    facts.json                         the rest, and the sha256 of both

Each is written beside its final place, synced and renamed; only then are older ones deleted, except for the last two
and that of the best epoch. One that cannot be verified is renamed to `.corrupt` and never deleted.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from resnext.errors import DamagedCheckpointError, SavingError
from resnext.files import sync_folder, write_atomically, write_durably
from resnext.runs.run import command_to_resume

FOLDER = "checkpoints"
STATE = "state.safetensors"
FACTS = "facts.json"
KEEP = 2  # the newest, beside that of the best epoch
FAILURES = 3  # in a row, after which a training that cannot be saved ends
FORMAT = 1

Tensors = dict[str, np.ndarray]
Facts = dict[str, Any]


class Checkpoint(NamedTuple):
    """All that is needed to resume as if nothing had happened."""

    tensors: Tensors
    facts: Facts


def other_images(data: str | Path) -> str:
    """Return the message for data that a run was not trained on."""
    return (
        f"{data}: these are not the images and classes this run was trained on. Pass the original data set as DATA, or "
        "start a new run."
    )


def checkpoint_name(step: int, epochs: int) -> str:
    """Return the name of a checkpoint after `step` batches and `epochs` evaluated epochs; names sort by age."""
    return f"step-{step:09}-{epochs:04}"


def write_checkpoint(folder: Path, tensors: Tensors, facts: Facts) -> Path:
    """Write a checkpoint completely or not at all.

    Args:
        folder: folder of all checkpoints.
        tensors: every variable by name.
        facts: the rest, as JSON; `step` and `epochs` give the name.

    Raises:
        OSError: it could not be written; earlier checkpoints are intact.
    """
    from safetensors.numpy import save

    path = folder / checkpoint_name(facts["step"], facts["epochs"])
    temporary = folder / f".{path.name}.{os.getpid()}"
    folder.mkdir(exist_ok=True)
    try:
        temporary.mkdir()
        state = save(tensors)
        write_durably(temporary / STATE, state)
        write_durably(temporary / FACTS, _packed({**facts, "state": [len(state), hashlib.sha256(state).hexdigest()]}))
        sync_folder(temporary)
        os.rename(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    sync_folder(folder)
    return path


def _packed(facts: Facts) -> bytes:
    document = json.dumps(facts)
    return json.dumps({"format": FORMAT, "sha256": _digest(document), "facts": document}).encode()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint, and verify that every byte is intact.

    Raises:
        ValueError: it is damaged.
        OSError: it cannot be read.
    """
    from safetensors.numpy import load

    outer = json.loads((path / FACTS).read_bytes())
    if not isinstance(outer, dict) or outer.get("format") != FORMAT:
        raise ValueError(f"{FACTS} belongs to another version")
    if _digest(outer["facts"]) != outer["sha256"]:
        raise ValueError(f"{FACTS} is not intact")
    facts = json.loads(outer["facts"])
    if path.name != checkpoint_name(facts["step"], facts["epochs"]):
        raise ValueError(f"{FACTS} belongs to another checkpoint")
    state = (path / STATE).read_bytes()
    if [len(state), hashlib.sha256(state).hexdigest()] != facts["state"]:
        raise ValueError(f"{STATE} is not intact")
    return Checkpoint(load(state), facts)


def checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints that look complete, the newest first."""
    return sorted((path for path in folder.glob("step-*") if not path.suffix), reverse=True)


def read_newest(folder: Path, report: Callable[[str], None]) -> Checkpoint | None:
    """Read the newest checkpoint that can be verified; report and rename each that cannot. None if there never was one.

    Raises:
        DamagedCheckpointError: there are checkpoints, and none is intact. Nothing is deleted.
    """
    for path in checkpoints(folder):
        try:
            return read_checkpoint(path)
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            aside = _put_aside(path)
            report(f"{path}: is damaged ({error}): renamed to {aside.name}; falling back to the previous checkpoint")
    damaged = sorted(folder.glob("*.corrupt*"))
    if damaged:
        raise DamagedCheckpointError(
            f"{folder}: no checkpoint is intact ({len(damaged)} damaged, kept as *.corrupt). Start a new run with "
            "another --out."
        )
    return None


def _put_aside(path: Path) -> Path:
    taken = len([*path.parent.glob(f"{path.name}.corrupt*")])
    return path.rename(path.with_name(f"{path.name}.corrupt{taken or ''}"))


def prune(folder: Path, best: str) -> None:
    """Delete all but the newest, the one called `best`, and damaged ones; and what a killed process left behind."""
    for path in checkpoints(folder)[KEEP:]:
        if path.name != best:
            doomed = path.rename(path.with_name(f".{path.name}.old"))  # half a checkpoint must not look like one
            shutil.rmtree(doomed)
    for path in folder.glob(".step-*"):
        shutil.rmtree(path, ignore_errors=True)


class Saver:
    """Writes files and checkpoints while training continues, one checkpoint at a time.

    What cannot be written is reported and kept for the next attempt; the third failure in a row ends the training.

    Args:
        folder: run folder.
        report: called with one line for what could not be written.
    """

    def __init__(self, folder: Path, report: Callable[[str], None]):
        self.folder = folder
        self.report = report
        self.pending: dict[str, bytes] = {}
        self.failures = 0
        self.error: Exception | None = None
        self.thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        return self.thread is not None and self.thread.is_alive()

    def start(self, tensors: Tensors, facts: Facts, files: Mapping[str, bytes], best: str) -> None:
        """Start to write in a thread, once the previous checkpoint is written. The tensors must not change later."""
        self.wait()
        self.pending |= files
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
        """Wait, and raise nothing: the training has ended already."""
        if self.thread is not None:
            self.thread.join()

    def finish(self) -> None:
        """Write again what could not be written. Raises SavingError."""
        try:
            self._write_files()
        except OSError as error:
            raise SavingError(f"{self.folder}: {error}. {self._advice()}") from error

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
        for name in [*self.pending]:
            write_atomically(self.folder / name, self.pending[name])
            del self.pending[name]

    def _advice(self) -> str:
        return f"Free some space, then resume with: {command_to_resume(self.folder)}"

    def _report_failure(self, error: OSError, step: int, size: int) -> None:
        what = f"{self.folder}: could not write the checkpoint for step {step} ({math.ceil(size / 1e6)} MB): {error}"
        if self.failures == FAILURES:
            self.error = SavingError(f"{what}. This was the third failure in a row. {self._advice()}")
        else:
            self.report(f"{what}. Training continues; earlier checkpoints are intact")


def _is_finite(values: np.ndarray) -> bool:
    # Integers are always finite; NumPy does not know bfloat16 as a kind of float.
    return values.dtype.kind in "iub" or bool(np.isfinite(values.astype(np.float32, copy=False)).all())
