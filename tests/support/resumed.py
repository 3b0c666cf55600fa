"""Trainings that are stopped and go on: their arguments, what must stay the same, and a run left in peace."""

import subprocess
from pathlib import Path

import pytest

from support.command import resnext
from support.photos import COLOURS, write_photos
from support.places import made_once

ARGUMENTS = ("--variant", "resnet8", "--image-size", 24, "--epochs", 3, "--batch-size", 8,
             "--learning-rate", 0.01, "--drop-path", 0.1, "--checkpoint-every", 3)  # fmt: skip
SAME = ("last.safetensors", "best.safetensors", "metrics.csv")

STEP = "resnext.training.recorder:Recorder.on_train_batch_end"


def completed(photos: Path, arguments: tuple, run: Path) -> Path:
    """Train in a folder, in one process and undisturbed."""
    process = resnext("train", photos, *arguments, "--out", run)
    assert process.returncode == 0, process.stderr
    return run


@pytest.fixture(scope="session")
def photos(whole):
    """The images of that run."""
    return whole.parent / "photos"


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """A run that nothing happened to: 3 epochs of 4 steps."""

    def make(folder):
        write_photos(folder / "photos" / "train", COLOURS, 11)
        write_photos(folder / "photos" / "test", COLOURS, 4)
        completed(folder / "photos", ARGUMENTS, folder / "whole")

    return made_once(tmp_path_factory, "resumed", make) / "whole"


def ours(process: subprocess.CompletedProcess) -> list[str]:
    assert "Traceback" not in process.stderr, process.stderr
    return [line.removeprefix("resnext: ") for line in process.stderr.splitlines() if line.startswith("resnext: ")]
