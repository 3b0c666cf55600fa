"""More than one device or process: the same training, in parts."""

import json
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from resnext.training.checkpoints import FOLDER, read_newest
from support.command import Command, refusal, resnext
from support.photos import COLOURS, write_photos
from support.resumed import SAME, STEP, completed, ours

BACKEND = os.environ.get("KERAS_BACKEND", "tensorflow")
on_jax = pytest.mark.skipif(BACKEND != "jax", reason="keras.distribution is JAX's")
# Few steps at a low rate: sums in another order differ in the last digit of float32, and each step doubles that.
ARGUMENTS = ("--variant", "resnet8", "--image-size", 48, "--epochs", 2, "--batch-size", 32, "--learning-rate",
             0.0002, "--drop-path", 0.1, "--mixup", 0.2, "--checkpoint-every", 1)  # fmt: skip
TWO_DEVICES = {"XLA_FLAGS": f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=2"}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    write_photos(folder / "train", COLOURS, 22)
    write_photos(folder / "test", COLOURS, 7)
    return folder


@pytest.fixture(scope="module")
def alone(photos, tmp_path_factory):
    """A run of one process on one device."""
    return completed(photos, ARGUMENTS, tmp_path_factory.mktemp("runs") / "alone")


@pytest.fixture(scope="module")
def pair(photos, tmp_path_factory):
    """A run of two processes."""
    folder = tmp_path_factory.mktemp("runs") / "pair"
    for process in together("train", photos, *ARGUMENTS, "--out", folder):
        assert process.returncode == 0, process.stderr
    return folder


def together(*arguments, fault: tuple[int, str, str, str] | None = None) -> list[subprocess.CompletedProcess]:
    """The command in two processes, started as torchrun does; with a fault in one of them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    started = []
    for rank in range(2):
        named = {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port - 1)}
        started.append(Command(*arguments, fault=fault[1:] if fault and fault[0] == rank else (), env=named))
    return [command.wait() for command in started]


def assert_equal(run: Path, other: Path) -> None:
    """Weights, statistics, and the losses of every epoch, to 1e-5."""
    one, two = load_file(run / "last.safetensors"), load_file(other / "last.safetensors")
    for name, values in one.items():
        np.testing.assert_allclose(two[name], values, rtol=0, atol=1e-5 * max(1, np.abs(values).max()), err_msg=name)
    for row, same in zip(rows(run), rows(other), strict=True):
        assert row == pytest.approx(same, rel=1e-5)


def rows(run: Path) -> list[list[float]]:
    lines = (run / "metrics.csv").read_text().splitlines()[1:]
    return [[float(value) for value in line.split(",")] for line in lines]


@on_jax
def test_two_devices_train_as_one(photos, tmp_path):
    """With the grouped convolutions of a ResNeXt; the other tests here are of what processes say to each other."""
    arguments = ("train", photos, *ARGUMENTS, "--variant", "resnext11_2x4d", "--epochs", 1)
    started = [Command(*arguments, "--out", tmp_path / "one"),
               Command(*arguments, "--out", tmp_path / "two", env=TWO_DEVICES)]  # fmt: skip
    for process in [command.wait() for command in started]:
        assert process.returncode == 0, process.stderr
    assert json.loads((tmp_path / "two" / "config.json").read_text())["versions"]["devices"] == "2"
    assert_equal(tmp_path / "one", tmp_path / "two")


@on_jax
def test_two_processes_train_as_one(alone, pair):
    assert_equal(alone, pair)


@on_jax
def test_a_stop_or_the_end_of_one_ends_all_and_they_go_on(photos, alone, pair, tmp_path):
    """One process is stopped, then killed, then the other is; and they end as if nothing had happened to them."""
    run, other_number = tmp_path / "run", tmp_path / "other number"
    ended = together("train", photos, *ARGUMENTS, "--out", run, fault=(1, STEP, "2", "SIGTERM"))
    assert [process.returncode for process in ended] == [143, 143], [process.stderr for process in ended]
    step = read_newest(run / FOLDER).facts["step"]
    for process in ended:
        assert ours(process)[-1] == f"stopped by SIGTERM after step {step}; resume with: resnext train --resume {run}"
    shutil.copytree(run, other_number)

    for killed in (1, 0):
        ended = together("train", "--resume", run, fault=(killed, STEP, "1", "SIGKILL"))
        assert ended[killed].returncode == -signal.SIGKILL
        survivor = ended[1 - killed]
        assert survivor.returncode == 75, survivor.stderr
        assert ours(survivor)[-1] == (
            f"process {1 - killed} of 2: another process has ended. Start all of them again with: resnext train "
            f"--resume {run}"
        )
    first, second = together("train", "--resume", run)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    for name in SAME:
        assert (run / name).read_bytes() == (pair / name).read_bytes()

    # Only the first speaks and writes.
    assert {path.name for path in run.iterdir()} == {path.name for path in alone.iterdir()}
    assert "test top-1" in first.stdout
    said = (second.stdout + second.stderr).splitlines()
    assert [line for line in said if not line.startswith("[Gloo]")] == []  # the library that connects them says so

    # A single process goes on with what two have begun.
    process = resnext("train", "--resume", other_number)
    assert process.returncode == 0, process.stderr
    (line,) = [line for line in ours(process) if "bit for bit" in line]
    assert "devices 2" in line
    assert_equal(alone, other_number)


@on_jax
def test_images_that_cannot_be_shared_out_are_refused(photos, tmp_path):
    arguments = ("train", photos, *ARGUMENTS, "--batch-size", 9, "--out", tmp_path / "run")
    assert refusal(resnext(*arguments, env=TWO_DEVICES)) == (
        "9 images at once can't be split among 2 devices of 1 processes. Pass a --batch-size that, divided by "
        "--accumulate, is a multiple of 2."
    )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("environment", "message"),
    [({"RANK": "2", "WORLD_SIZE": "2"}, "RANK is 2; allowed: numbers below WORLD_SIZE, which is 2"),
     ({"SLURM_PROCID": "one", "SLURM_STEP_NUM_TASKS": "2"},
      "SLURM_PROCID is 'one'; allowed: a whole number, as set by the launcher")],
)  # fmt: skip
@pytest.mark.once
def test_what_a_launcher_cannot_mean_is_refused(environment, message, photos, tmp_path):
    arguments = ("train", photos, *ARGUMENTS, "--out", tmp_path / "run")
    assert refusal(resnext(*arguments, env=environment)) == message


@pytest.mark.skipif(BACKEND == "jax", reason="there it trains")
def test_other_backends_train_alone(photos, tmp_path):
    environment = {"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2"}
    arguments = ("train", photos, *ARGUMENTS, "--out", tmp_path / "run")
    assert refusal(resnext(*arguments, env=environment)) == (
        "OMPI_COMM_WORLD_SIZE is 2, and only the JAX backend trains with more than one process. Set KERAS_BACKEND=jax, "
        "or, if this process is alone, unset OMPI_COMM_WORLD_SIZE."
    )
    assert not (tmp_path / "run").exists()
