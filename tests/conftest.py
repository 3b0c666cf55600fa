"""What the tests share: small photos, the data sets if they are there, the command line, gradients on any backend."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

REPOSITORY = Path(__file__).parent.parent
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

from commands import Command  # noqa: E402 - its server has the environment of now

from resnext.data.source import open_data  # noqa: E402
from resnext.data.splits import Holdout  # noqa: E402

DATA = Path(os.environ.get("RESNEXT_DATA", REPOSITORY.parent / "shared" / "data"))


def pytest_collection_modifyitems(config, items):
    """Test on one backend what no backend computes."""
    if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
        again = [item for item in items if item.get_closest_marker("once")]
        config.hook.pytest_deselected(items=again)
        items[:] = [item for item in items if item not in again]


@pytest.fixture(autouse=True)
def no_command_outlives_its_test():
    """End what a test has started, should it fail before it does so itself; fixtures keep theirs."""
    before = set(Command.started)
    yield
    for command in set(Command.started) - before:
        command.kill()


@pytest.fixture
def data_set(tmp_path):
    """Unpack one of the archives of real photos, or skip where there are none."""

    def unpack(archive: str) -> Path:
        if not (DATA / archive).exists():
            pytest.skip(f"{archive} is not in {DATA}: set RESNEXT_DATA to the folder that has it")
        subprocess.run(["tar", "xf", DATA / archive, "-C", tmp_path], check=True)
        return tmp_path / archive.split(".")[0]

    return unpack


def write_photos(folder: Path, classes: dict[str, tuple[int, int, int]], images: int, size: int = 24) -> Path:
    """A folder for each class with noisy images of its colour: easy to learn in a few steps."""
    rng = np.random.default_rng(0)
    for name, colour in classes.items():
        (folder / name).mkdir(parents=True)
        for i in range(images):
            pixels = np.clip(rng.normal(colour, 40, (size, size, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i:03}.png")
    return folder


COLOURS = {"red": (200, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 200)}


def resnext(*arguments, env=None, constants=None, timeout=300) -> subprocess.CompletedProcess:
    """Run the command line in a process of its own."""
    return Command(*arguments, env=env, constants=constants).wait(timeout)


def fresh_resnext(*arguments, env=None, **named) -> subprocess.CompletedProcess:
    """Run the command line as a user does, in an interpreter of its own: where the process itself is the subject."""
    command = [sys.executable, "-m", "resnext", *map(str, arguments)]
    environment = {**os.environ, **(env or {})}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, **named)


def made_once(tmp_path_factory, name: str, make) -> Path:
    """A folder that one worker makes for all of them: `make` gets the path. Tests only read it."""
    folder = tmp_path_factory.getbasetemp()
    folder = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / name
    with FileLock(f"{folder}.lock"):
        if not (folder / "made").exists():
            shutil.rmtree(folder, ignore_errors=True)
            make(folder)
            (folder / "made").touch()
    return folder


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


def load_splits(data, seed=0):
    return open_data(data).splits(Holdout(seed))


def load_examples(data, classes):
    return open_data(data).examples(classes)


def load_held_out(data, held_out, classes):
    return open_data(data).held_out(held_out, classes)


def refusal(process: subprocess.CompletedProcess) -> str:
    """The one line with which a command said no."""
    assert process.returncode == 1, process.stderr
    assert "Traceback" not in process.stderr
    line = process.stderr.splitlines()[-1]
    assert line.startswith("resnext: "), process.stderr
    return line.removeprefix("resnext: ")


@contextmanager
def logged(caplog, pattern: str) -> Iterator[None]:
    """The block logs a warning that the pattern describes."""
    caplog.clear()
    yield
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert any(re.search(pattern, message) for message in warnings), warnings


def computed(model, inputs, training=False):
    """What a network computes of some inputs, as NumPy's arrays; half precision as float32.

    JAX compiles it whole: to compile each operation by itself takes ten times as long.
    """
    import keras

    if keras.backend.backend() == "jax":
        import jax

        variables = [
            [each.value for each in group] for group in (model.trainable_variables, model.non_trainable_variables)
        ]
        outputs, _ = jax.jit(partial(model.stateless_call, training=training))(*variables, inputs)
    else:
        outputs = model(inputs, training=training)
    half = ("float16", "bfloat16")
    outputs = keras.tree.map_structure(
        lambda y: keras.ops.cast(y, "float32") if keras.backend.standardize_dtype(y.dtype) in half else y, outputs
    )
    return keras.tree.map_structure(keras.ops.convert_to_numpy, outputs)


def gradients(model, inputs, targets) -> dict[str, np.ndarray]:
    """Gradients of the mean squared error for every trainable weight, as the weights lie in form c.

    One step of plain gradient descent with rate 1 moves each weight by its gradient, on every backend alike.
    """
    import keras

    from resnext.weights.variables import get_weights

    before = get_weights(model)
    eagerly = keras.backend.backend() != "jax"  # whichever is quicker for one step
    model.compile(keras.optimizers.SGD(1.0), "mse", run_eagerly=eagerly)
    model.train_on_batch(inputs, targets)
    after = get_weights(model)
    return {name: before[name] - after[name] for name in before if "moving" not in name}
