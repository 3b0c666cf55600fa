"""What other programs leave in the environment changes no command: neither its output nor its status."""

import contextlib
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest

from support.command import commands_under, fresh_resnext, resnext
from support.resumed import ours

pytestmark = pytest.mark.once

LAUNCHERS = {
    "torchrun": {"RANK": "1", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4",
                 "MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "29500"},
    "slurm": {"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2", "SLURM_NTASKS": "2", "SLURM_JOB_ID": "7",
              "SLURM_LOCALID": "1", "SLURM_STEP_NODELIST": "node[1-2]"},
    "mpi": {"PMI_RANK": "1", "PMI_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2"},
}  # fmt: skip
# For trainings as well.
HARMLESS = {
    "slurm batch": {"SLURM_PROCID": "0", "SLURM_NTASKS": "8", "SLURM_JOB_ID": "7", "SLURM_CPUS_PER_TASK": "4"},
    "kubernetes": {"JOB_COMPLETION_INDEX": "3", "KUBERNETES_SERVICE_HOST": "10.0.0.1",
                   "TF_CONFIG": '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}'},
    "notebook": {"MPLBACKEND": "module://matplotlib_inline.backend_inline", "JPY_PARENT_PID": "1"},
    "display": {"MPLBACKEND": "TkAgg", "DISPLAY": ":9"},
    "terminal": {"NO_COLOR": "1", "COLUMNS": "40", "LINES": "5", "TERM": "dumb"},
    "colours": {"FORCE_COLOR": "1", "CLICOLOR_FORCE": "1", "TTY_COMPATIBLE": "1", "PY_COLORS": "1",
                "COLORTERM": "truecolor", "TERM": "xterm-256color"},
    "ci": {"CI": "true", "GITHUB_ACTIONS": "true", "GITLAB_CI": "true", "BUILD_ID": "1"},
    "python": {"PYTHONWARNINGS": "always", "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1",
               "PYTHONHASHSEED": "11", "PYTHONFAULTHANDLER": "1", "PYTHONDEVMODE": "1"},
    "errors": {"PYTHONWARNINGS": "error"},
    "no asserts": {"PYTHONOPTIMIZE": "1"},
    "no docstrings": {"PYTHONOPTIMIZE": "2"},
    "locale": {"LANG": "C", "LC_ALL": "C", "TZ": "Asia/Kathmandu"},
    "channels first": {"keras.json": '{"image_data_format": "channels_first"}'},
    "float16": {"keras.json": '{"floatx": "float16", "epsilon": 0.1}'},
    "float64": {"keras.json": '{"floatx": "float64"}'},
    "another backend": {"keras.json": '{"backend": "theano"}'},
    "damaged": {"keras.json": '{"backend": '},
    "nohup": {"SIGINT": "ignored"},  # not a variable: see `support.command`
    "tensorflow": {"TF_CPP_MIN_LOG_LEVEL": "0", "TF_USE_LEGACY_KERAS": "1", "CUDA_VISIBLE_DEVICES": ""},
}  # fmt: skip
TOGETHER = ("slurm batch", "kubernetes", "notebook", "terminal", "ci", "python", "locale", "nohup", "tensorflow")


def commands(run, colours):
    images = sorted((colours / "test").glob("*/*.png"))
    training = ("--variant", "resnet8", "--recipe", "smoke", "--image-size", 24, "--seed", 1)
    return {
        "list": ["list"],
        "info": ["info", run],
        "recipes": ["recipes"],
        "help": ["train", "--help"],
        "refused": ["trian"],
        "check-data": ["check-data", colours],
        "predict": ["predict", run, *images, "--format", "jsonl"],
        "evaluate": ["evaluate", run, colours, "--format", "json", "--out", "evaluated"],
        "explain": ["explain", run, images[0], "--out", "explained"],
        "export": ["export", run, "--out", "colours.onnx"],
        "convert": ["convert", run, "--out", "colours.safetensors"],
        "compare": ["compare", run, "--out", "curves.png"],
        "preview": ["preview", colours, "--out", "sheet.png"],
        "train": ["train", colours, *training, "--out", "run"],
    }


def said(process):
    """Status and standard output without what is measured: its words, and its numbers, which are sums of floats."""
    text = re.sub(r"[\d.,]+ (s|ms|images/s)\b", "N \\1", process.stdout)
    number = r"-?\d+\.\d+(?:e-?\d+)?"
    return process.returncode, re.split(number, text), [*map(float, re.findall(number, text))]


@pytest.fixture(scope="module")
def plain(trained, colours, tmp_path_factory):
    """What each command says when nothing is set, and the folder of its files."""
    folder = tmp_path_factory.mktemp("plain")
    given = commands_under({}, commands(trained[0], colours), folder)
    for name, process in given.items():
        assert process.returncode == (2 if name == "refused" else 0), process.stderr
    return {name: said(process) for name, process in given.items()}, folder


def check(environment, plain, trained, colours, folder, only=()):
    """Run every command, or some, and compare."""
    expected, before = plain
    environment = dict(environment)
    if "keras.json" in environment:
        (folder / "keras").mkdir()
        (folder / "keras" / "keras.json").write_text(environment.pop("keras.json"))
        environment["KERAS_HOME"] = str(folder / "keras")
    wanted = {name: words for name, words in commands(trained[0], colours).items() if name in (only or expected)}
    if "PYTHONOPTIMIZE" in environment:  # a command starts Python again
        given = {name: fresh_resnext(*words, env=environment, cwd=folder) for name, words in wanted.items()}
    else:
        given = commands_under(environment, wanted, folder)
    if "COLUMNS" in environment:
        assert given.pop("help").returncode == 0  # it is as wide as the terminal
    for name, process in given.items():
        assert "Traceback" not in process.stderr, process.stderr
        (status, words, numbers), (*same, near) = said(process), expected[name]
        assert [status, words] == same, (name, process.stderr)
        assert numbers == pytest.approx(near, rel=1e-4), name
    if "train" in wanted:
        for name in ("last.safetensors", "metrics.csv", "held-out.json"):
            made = [each / "run" / name for each in (before, folder)]
            assert [path.read_bytes() for path in made if path.exists()] in ([], [made[0].read_bytes()] * 2), name


def test_everything_at_once_changes_no_command(plain, trained, colours, tmp_path):
    settings = {name: value for group in TOGETHER for name, value in HARMLESS[group].items()}
    keras = {"image_data_format": "channels_first", "floatx": "float16", "epsilon": 0.1}
    check({**settings, "keras.json": json.dumps(keras)}, plain, trained, colours, tmp_path)


def test_a_task_of_a_launcher_loses_no_rows(plain, trained, colours, tmp_path):
    """Only a training is done by all processes together, and there the first one speaks for all."""
    settings = {name: value for group in LAUNCHERS.values() for name, value in group.items()}
    check(settings, plain, trained, colours, tmp_path, only=("predict", "evaluate", "list", "info", "help"))


def test_help_is_there_without_docstrings(plain, trained, colours, tmp_path):
    check(HARMLESS["no docstrings"], plain, trained, colours, tmp_path, only=("help", "recipes"))
    code = "import resnext; print(resnext.get_recipe('photos').name)"
    ran = subprocess.run([sys.executable, "-OO", "-c", code], capture_output=True, text=True, timeout=60)
    assert ran.stdout == "photos\n", ran.stderr


@pytest.mark.slow
@pytest.mark.parametrize("case", HARMLESS)
def test_each_alone_changes_no_command(case, plain, trained, colours, tmp_path):
    check(HARMLESS[case], plain, trained, colours, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_each_launcher_alone_loses_no_rows(launcher, plain, trained, colours, tmp_path):
    every = [name for name in plain[0] if name != "train"]
    check(LAUNCHERS[launcher], plain, trained, colours, tmp_path, only=every)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["list", "info", "help", "predict", "compare", "train"])
def test_a_terminal_of_40_columns_changes_no_status(name, plain, trained, colours, tmp_path):
    words = [sys.executable, "-m", "resnext", *map(str, commands(trained[0], colours)[name])]
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 40, 0, 0))
    with subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, cwd=tmp_path) as process:
        os.close(theirs)
        printed = b""
        with contextlib.suppress(OSError):  # the other end is closed
            while part := os.read(ours, 65536):
                printed += part
    os.close(ours)
    assert (process.returncode, b"Traceback" in printed, b"resnext: " in printed) == (0, False, name == "train")
    if name == "train":
        assert (tmp_path / "run" / "last.safetensors").read_bytes() == (
            plain[1] / "run" / "last.safetensors"
        ).read_bytes()


@pytest.mark.skipif(os.environ.get("KERAS_BACKEND") == "jax", reason="there it trains")
def test_a_training_names_the_variable_that_is_left_over(colours, tmp_path):
    process = resnext("train", colours, "--out", tmp_path / "run", env={"RANK": "0", "WORLD_SIZE": "4"})
    assert process.returncode == 1
    assert ours(process)[-1] == (
        "WORLD_SIZE is 4, and only the JAX backend trains with more than one process. Set KERAS_BACKEND=jax, or, if "
        "this process is alone, unset WORLD_SIZE."
    )
