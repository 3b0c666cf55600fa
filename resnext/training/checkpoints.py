"""Checkpoints: a training between two steps, complete and verified, or absent.

RUN/checkpoints/step-000001200-0002/   after 1,200 batches, when 2 epochs were evaluated
    state.safetensors                  every variable: weights, statistics, seeds, optimizer, averages, metrics
    facts.json                         the rest, and the sha256 of both

Each is written beside its final place, synced and renamed. Only then are older ones deleted, except for the last two
and that of the best epoch. A checkpoint that cannot be verified is renamed to `.corrupt` and never deleted.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from resnext.errors import DamagedCheckpointError
from resnext.files import read_regular, sync_folder, write_durably

logger = logging.getLogger(__name__)

FOLDER = "checkpoints"
STATE = "state.safetensors"
FACTS = "facts.json"
KEEP = 2  # the newest ones, in addition to that of the best epoch
FORMAT = 1
MAX_FACTS = 2**28  # bytes; a row of an epoch has some hundreds

Tensors = dict[str, np.ndarray]
Facts = dict[str, Any]


class Checkpoint(NamedTuple):
    """Everything needed to resume as if nothing had happened."""

    tensors: Tensors
    facts: Facts


def other_images(data: str | Path) -> str:
    """Return the message for data that a run was not trained on."""
    return (
        f"{data}: these are not the images and classes this run was trained on. Pass the original data set as DATA, or "
        "start a new run."
    )


def other_contents(data: str | Path) -> str:
    """Return the message for images that have the names of those of a run, and are others."""
    return (
        f"{data}: its images have the names of those that this run was trained on, but other contents. Pass the "
        "original data set as DATA, or start a new run."
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

    outer = json.loads(read_regular(path / FACTS, MAX_FACTS))
    if not isinstance(outer, dict) or outer.get("format") != FORMAT:
        raise ValueError(f"{FACTS} belongs to another version")
    if _digest(outer["facts"]) != outer["sha256"]:
        raise ValueError(f"{FACTS} is not intact")
    facts = json.loads(outer["facts"])
    if path.name != checkpoint_name(facts["step"], facts["epochs"]):
        raise ValueError(f"{FACTS} belongs to another checkpoint")
    size, _ = facts["state"]
    state = read_regular(path / STATE, size)
    if [len(state), hashlib.sha256(state).hexdigest()] != facts["state"]:
        raise ValueError(f"{STATE} is not intact")
    return Checkpoint(load(state), facts)


def checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints that look complete, the newest first."""
    return sorted((path for path in folder.glob("step-*") if not path.suffix), reverse=True)


def read_newest(folder: Path) -> Checkpoint | None:
    """Read the newest checkpoint that can be verified and rename each that cannot; return None if there never was one.

    Raises:
        DamagedCheckpointError: there are checkpoints, and none is intact. Nothing is deleted.
    """
    for path in checkpoints(folder):
        try:
            return read_checkpoint(path)
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            aside = _put_aside(path)
            logger.warning(
                f"{path}: is damaged ({error}): renamed to {aside.name}; falling back to the previous checkpoint"
            )
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
    """Delete all but the newest, the one called `best`, and damaged ones; also delete a killed process's leftovers."""
    for path in checkpoints(folder)[KEEP:]:
        if path.name != best:
            doomed = path.rename(path.with_name(f".{path.name}.old"))  # half a checkpoint must not look like one
            shutil.rmtree(doomed)
    for path in folder.glob(".step-*"):
        shutil.rmtree(path, ignore_errors=True)
