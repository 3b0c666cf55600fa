"""Fixtures and hooks of all tests, and the environment that they run in."""

import json
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest

from support.places import DATA, REPOSITORY, made_once

for name, value in {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "OMP_NUM_THREADS": "1",  # two workers on two cores: PyTorch's threads would wait for each other, four times as long
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",  # networks run for a few steps: compiling is what takes time
    "XLA_FLAGS": "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1",  # for the same reason
    "JAX_COMPILATION_CACHE_DIR": str(REPOSITORY / ".pytest_cache" / "jax"),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    "GLIBC_TUNABLES": "",  # given, so that no command starts again for huge pages
}.items():
    os.environ.setdefault(name, value)

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as a shell arranges for jobs in the background, and nohup
    signal.signal(signal.SIGINT, signal.default_int_handler)  # processes that tests start would ignore it, too
if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

from resnext import evaluate, train  # noqa: E402
from resnext.log import logger  # noqa: E402
from support.command import Command, resnext  # noqa: E402 - its server has the environment of now
from support.exports import exported_as  # noqa: E402, F401 - a fixture
from support.photos import COLOURS, write_photos  # noqa: E402
from support.reports import HOSTILE, QUICK  # noqa: E402

collect_ignore = ["golden"]  # scripts, and what they wrote


def pytest_collection_modifyitems(config, items):
    """Test on one backend what no backend computes: on TensorFlow, or on PyTorch what needs its package."""
    backend, once = os.environ.get("KERAS_BACKEND", "tensorflow"), [item.get_closest_marker("once") for item in items]
    again = [mark is not None and mark.kwargs.get("on", "tensorflow") != backend for mark in once]
    config.hook.pytest_deselected(items=[item for item, left_out in zip(items, again, strict=True) if left_out])
    items[:] = [item for item, left_out in zip(items, again, strict=True) if not left_out]


@pytest.fixture(autouse=True)
def no_command_outlives_its_test():
    """End what a test has started, should it fail before it does so itself; fixtures keep theirs."""
    before = set(Command.started)
    yield
    for command in set(Command.started) - before:
        command.kill()


@pytest.fixture
def main():
    """The command line in this process, which it leaves as it was: `main` is made for a process of its own."""
    from resnext.cli import main as cli

    handlers, propagate, filters = [*logger.handlers], logger.propagate, [*warnings.filters]
    signals = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    hook, interval, stderr = sys.unraisablehook, sys.getswitchinterval(), sys.stderr
    yield cli.main
    logger.handlers[:], logger.propagate, warnings.filters[:] = handlers, propagate, filters
    for number, handler in signals.items():
        signal.signal(number, handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT,))
    signal.set_wakeup_fd(-1)  # it would end the process at the next signal
    sys.unraisablehook, sys.stderr = hook, stderr
    sys.setswitchinterval(interval)


@pytest.fixture
def data_set(tmp_path):
    """Unpack one of the archives of real photos, or skip where there are none."""

    def unpack(archive: str) -> Path:
        if not (DATA / archive).exists():
            pytest.skip(f"{archive} is not in {DATA}: set RESNEXT_DATA to the folder that has it")
        subprocess.run(["tar", "xf", DATA / archive, "-C", tmp_path], check=True)
        return tmp_path / archive.split(".")[0]

    return unpack


@pytest.fixture(scope="session")
def colours(trained):
    """The photos of that run."""
    return trained[0].parent / "photos"


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """One run by the command line, and what it printed."""

    def make(folder):
        write_photos(folder / "photos" / "train", COLOURS, 24)
        write_photos(folder / "photos" / "test", COLOURS, 4)
        process = resnext(
            "train", folder / "photos", "--variant", "resnext14_2x4d", "--out", folder / "colours",
            "--image-size", 32, "--epochs", 6, "--batch-size", 8, "--learning-rate", 0.003, "--seed", 1,
        )  # fmt: skip
        assert process.returncode == 0, process.stderr
        (folder / "printed.json").write_text(json.dumps([process.stdout, process.stderr]))

    folder = made_once(tmp_path_factory, "trained", make)
    stdout, stderr = json.loads((folder / "printed.json").read_text())
    return folder / "colours", SimpleNamespace(stdout=stdout, stderr=stderr)


@pytest.fixture(scope="session")
def judged(trained, colours):
    """The evaluation of that run."""
    return evaluate(trained[0], colours)


@pytest.fixture(scope="session")
def exported(trained, tmp_path_factory):
    """That run in ONNX, and what the command printed."""
    path = tmp_path_factory.mktemp("exported") / "colours.onnx"
    process = resnext("export", trained[0], "--out", path)
    assert process.returncode == 0, process.stderr
    return path, process


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """A run with a class name that is no markup, and few images: some are told wrong."""
    data, folder = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("runs") / "first"
    # A file's name has no slash.
    colours = {HOSTILE.replace("/", "∕"): (120, 100, 90), "a & b": (100, 120, 90), "blue": (40, 40, 200)}
    write_photos(data / "train", colours, 12)
    write_photos(data / "test", colours, 8)
    train(data, "resnext14_2x4d", folder, recipe=QUICK, log=("tensorboard", "jsonl"))
    return folder
