"""Ctrl-C before the first step: one line, and nothing is left."""

import os
import signal
import subprocess
import sys
import time

import pytest

from support.command import Command, interpreter


@pytest.mark.parametrize("fault", ["hang", "deaf"])
def test_an_interrupt_before_the_first_step_is_one_line_and_leaves_nothing(fault, tmp_path):
    step = ("resnext.training.recorder:Recorder.on_train_batch_end", 1, fault)
    arguments = ("--variant", "resnet8", "--image-size", 16, "--out", tmp_path / "new" / "run")
    command = Command("train", "digits", *arguments, fault=step)
    while not (tmp_path / "new" / "run" / "config.json").exists() and command.is_running():
        time.sleep(0.1)
    time.sleep(1)
    command.send_signal(signal.SIGINT)
    process = command.wait(5)
    assert process.returncode == 130
    assert process.stderr.splitlines()[-1] == "resnext: stopped by SIGINT; nothing was saved"
    assert process.stderr.count("resnext: ") == 1
    assert not (tmp_path / "new").exists()


@pytest.mark.once
def test_an_interrupt_that_a_callback_swallows_is_one_line_too():
    code = """
import os, signal, time
from resnext.cli.interrupts import Interrupts

class Swallowing:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)

Interrupts()
Swallowing()
time.sleep(10)
"""
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (process.returncode, process.stderr) == (130, "resnext: interrupted\n")


@pytest.mark.once
@pytest.mark.parametrize(("backend", "moment"), [("", 0.0), ("", 0.2), ("", 1.5), ("jax", 1.5)])
def test_an_interrupt_while_it_starts_is_one_line(backend, moment, tmp_path):
    """After a moment, counted from when Python has begun with the package."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "import resnext.__main__"], check=True)
    moment += 1.5 * (time.monotonic() - began)
    arguments = ["train", "digits", "--variant", "resnext50_32x4d", "--out", tmp_path / "new" / "run"]
    environment = dict(os.environ)
    if backend:
        pytest.importorskip(backend)
        environment["KERAS_BACKEND"] = backend
        del environment["GLIBC_TUNABLES"]  # so that it starts itself again
    with interpreter(*arguments, stderr=subprocess.PIPE, text=True, env=environment) as process:
        time.sleep(moment)
        process.send_signal(signal.SIGINT)
        errors = process.communicate(timeout=30)[1]
    assert process.returncode == 130
    *before, last = errors.splitlines()
    assert last.startswith(("resnext: interrupted", "resnext: stopped by SIGINT; nothing was saved"))
    assert not [line for line in before if line.startswith(("resnext:", "Traceback", " "))], errors  # it had begun
    assert not (tmp_path / "new").exists()
