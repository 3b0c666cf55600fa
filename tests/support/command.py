"""The command line in a process of its own, forked from one that has imported the backend already.

A command that starts an interpreter waits seconds for TensorFlow, JAX or PyTorch; a fork waits for nothing. It is a
real process: it can be killed, gets signals, and ends with an exit status. The server imports and computes nothing, so
that no thread is lost in a fork.
"""

import importlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess, Popen
from typing import ClassVar

PRELOADED = ("resnext.training.session", "resnext.training.logs.log", "resnext.pages.plots", "resnext.bench",
             "matplotlib.figure", "matplotlib.backends.backend_agg", "grain", "safetensors.numpy", "rich.progress",
             "rich.table", "resnext.cli.main", "resnext.data.batches", "resnext.data.source",
             "support.faults")  # fmt: skip
server = multiprocessing.get_context("forkserver")
server.set_forkserver_preload(list(PRELOADED))


class Command:
    """`resnext ARGUMENTS`, started.

    Args:
        arguments: those of the command line.
        fault: function, number of its call and fault, as `faults.py` takes them.
        env: changes to the environment; a backend can't be changed.
        constants: values of module constants, by "module:NAME", so that no test waits for minutes.
    """

    started: ClassVar[weakref.WeakSet["Command"]] = weakref.WeakSet()

    def __init__(self, *arguments, fault: tuple = (), env: dict[str, str] | None = None, constants=None):
        self.folder = tempfile.TemporaryDirectory()
        self.stdout, self.stderr = (Path(self.folder.name) / name for name in ("stdout", "stderr"))
        self.arguments = [*map(str, fault), *map(str, arguments)]
        settings = {**os.environ, **(env or {})}
        call = (self.arguments, bool(fault), settings, constants or {}, Path.cwd(), self.stdout, self.stderr)
        self.process = server.Process(target=_run, args=call, daemon=True)
        self.process.start()
        self.started.add(self)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def errors(self) -> str:
        """What it has written to standard error so far."""
        return self.stderr.read_text() if self.stderr.exists() else ""

    def is_running(self) -> bool:
        return self.process.is_alive()

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once, unless it has ended."""
        self.process.kill()
        self.process.join()

    def wait(self, timeout: float = 300) -> CompletedProcess:
        """Wait for the end. Raises TimeoutError, after killing the process."""
        self.process.join(timeout)
        if self.process.exitcode is None:
            self.kill()
            raise TimeoutError(f"{self.arguments} took more than {timeout} s:\n{self.errors}")
        return CompletedProcess(self.arguments, self.process.exitcode, self.stdout.read_text(), self.errors)


def _run(arguments: list[str], has_fault: bool, settings: dict[str, str], constants, cwd, stdout: Path, stderr: Path):
    for path, descriptor in ((stdout, 1), (stderr, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
    sys.stdout, sys.stderr = (open(descriptor, "w", 1, "utf-8", closefd=False) for descriptor in (1, 2))  # noqa: SIM115
    is_ignored = settings.get("SIGINT") == "ignored"  # as under `nohup`, and in a shell's background
    signal.signal(signal.SIGINT, signal.SIG_IGN if is_ignored else signal.default_int_handler)
    os.environ.clear()
    os.environ.update(settings)
    os.chdir(cwd)
    sys.argv = ["resnext", *arguments]
    for place, value in constants.items():
        module, name = place.split(":")
        setattr(importlib.import_module(module), name, value)
    if has_fault:
        from support import faults

        faults.main()
    else:
        from resnext.cli.main import main

        main()


def commands_under(environment: dict[str, str], commands: dict[str, list], folder: Path) -> dict[str, CompletedProcess]:
    """Run commands in a folder, in processes forked from an interpreter that has started in another environment."""
    jobs = {name: [str(word) for word in words] for name, words in commands.items()}
    code = "import sys, json; from support import command; command.run_all(*json.loads(sys.argv[1]))"
    settings = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment}
    started = subprocess.run([sys.executable, "-c", code, json.dumps([jobs, str(folder)])], env=settings,
                             capture_output=True, text=True, timeout=600)  # fmt: skip
    assert started.returncode == 0, started.stderr
    results = json.loads(started.stdout.splitlines()[-1])
    return {name: CompletedProcess(jobs[name], *result) for name, result in results.items()}


def run_all(jobs: dict[str, list[str]], folder: str) -> None:
    """Run the commands of `commands_under` one after another, and print their statuses and outputs as JSON.

    The environment is that of a command when it imports Keras.
    """
    from resnext.cli.command_line import CommandLine
    from resnext.cli.main import _prepare

    before = dict(os.environ)
    _prepare(CommandLine(["info"]))
    for name in PRELOADED:
        importlib.import_module(name)
    fork, results = multiprocessing.get_context("fork"), {}
    for name, words in jobs.items():
        outputs = [Path(folder, f"{name}.{stream}") for stream in ("stdout", "stderr")]
        process = fork.Process(target=_run, args=(words, False, before, {}, folder, *outputs))
        process.start()
        process.join()
        results[name] = [process.exitcode, *(path.read_text() for path in outputs)]
    print(json.dumps(results))


@contextmanager
def interpreter(*arguments, **named) -> Iterator[Popen]:
    """`python -m resnext ARGUMENTS` in an interpreter of its own, which ends with the block, also if a test fails."""
    process = Popen([sys.executable, "-m", "resnext", *map(str, arguments)], **named)
    with process:
        try:
            yield process
            process.wait(60)
        finally:
            process.kill()  # before the block waits for it


def resnext(*arguments, env=None, constants=None, timeout=300) -> subprocess.CompletedProcess:
    """Run the command line in a process of its own."""
    return Command(*arguments, env=env, constants=constants).wait(timeout)


def fresh_resnext(*arguments, env=None, **named) -> subprocess.CompletedProcess:
    """Run the command line as a user does, in an interpreter of its own: where the process itself is the subject."""
    command = [sys.executable, "-m", "resnext", *map(str, arguments)]
    environment = {**os.environ, **(env or {})}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, **named)


def refusal(process: subprocess.CompletedProcess) -> str:
    """The one line with which a command said no."""
    assert process.returncode in (1, 2, 73), process.stderr
    assert "Traceback" not in process.stderr
    line = process.stderr.splitlines()[-1]
    assert line.startswith("resnext: "), process.stderr
    return line.removeprefix("resnext: ")


def answers(text):
    return [(row["image"], row["class"], row["error"]) for row in map(json.loads, text.splitlines())]
