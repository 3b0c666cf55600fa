"""The lock of a run folder: a second training leaves."""

import signal
import time

import pytest

from resnext.training.checkpoints import FOLDER, checkpoints
from support.command import Command, resnext
from support.resumed import ARGUMENTS, STEP, ours


@pytest.mark.once
def test_the_second_training_in_a_folder_leaves_within_two_seconds(photos, tmp_path):
    run = tmp_path / "run"
    first = Command("train", photos, *ARGUMENTS, "--out", run, fault=(STEP, 4, "hang"))
    while not checkpoints(run / FOLDER) and first.is_running():
        time.sleep(0.1)
    try:
        began = time.monotonic()
        process = resnext("train", "--resume", run)
        assert process.returncode == 73
        assert time.monotonic() - began < 2
        assert ours(process) == [
            f"{run}: process {first.pid} is training in it. Wait for it to end, or choose another --out."
        ]
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
    assert (run / ".lock").exists()  # of a process that is no more: the kernel has let go of it
    assert resnext("train", "--resume", run).returncode == 0
    assert not (run / ".lock").exists()
