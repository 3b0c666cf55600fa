"""The process around one command: its backend, its signals, its exit status."""

from __future__ import annotations

import errno
import importlib.util
import io
import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

from resnext.backend import BACKENDS, installed_backend, version_of
from resnext.cli.command_line import CommandLine, in_our_spelling
from resnext.cli.common_options import with_common_options
from resnext.cli.completion import completion_command
from resnext.cli.data import check_data, preview_command
from resnext.cli.doctor import doctor
from resnext.cli.export import export
from resnext.cli.from_files import FILES, with_files
from resnext.cli.help import help_of
from resnext.cli.inference import evaluate, explain, predict
from resnext.cli.interrupts import Interrupts
from resnext.cli.known import Known, known_of
from resnext.cli.measure import bench
from resnext.cli.networks import info, list_
from resnext.cli.overview import overview
from resnext.cli.runs import compare
from resnext.cli.serve import serve
from resnext.cli.slips import parsed
from resnext.cli.spectator import Spectator, open_closed_streams
from resnext.cli.training import recipes, resume_command, train_command
from resnext.cli.weights import convert
from resnext.cli.words import overruled, slip_of_command, slip_of_words
from resnext.errors import OutOfMemoryError, OutputError, ResNeXtError, RunError
from resnext.exporting.formats import FORMATS, format_of
from resnext.files import user_path
from resnext.log import logger, print_lines
from resnext.recipes.names import default_recipe, get_recipe
from resnext.recipes.recipe import Recipe
from resnext.runs.run import Run
from resnext.training.defaults import default_recipe_for
from resnext.training.signals import exit_code

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # of errors without a file: those of standard output


def commands(line: CommandLine) -> dict[str, Callable[..., None]]:
    """Return all commands; their options default to the values of the recipe, or of the run to resume."""
    named, run = line.value_of("--recipe"), line.value_of("--resume")
    recipe = get_recipe(named) if named else _default_recipe(line)
    options = ("learning_rate", "loss", "best_by")  # whose default may be another one for these images
    passed = [name for name in options if line.value_of(f"--{name.replace('_', '-')}")]
    functions: dict[str, Callable[..., None]] = {
        "list": list_,
        "info": info,
        "recipes": recipes,
        "train": resume_command(user_path(run)) if run else train_command(recipe, named is not None, passed),
        "evaluate": evaluate,
        "compare": compare,
        "predict": predict,
        "explain": explain,
        "export": export,
        "serve": serve,
        "check-data": check_data,
        "convert": convert,
        "preview": preview_command(recipe),
        "bench": bench,
        "doctor": doctor,
    }
    found = {name: with_common_options(function) for name, function in functions.items()}
    return found | {"completion": completion_command(found)}


def _default_recipe(line: CommandLine) -> Recipe:
    """Return the recipe whose values are the defaults; what is wrong with the weights is reported by the command."""
    weights = line.value_of("--weights") if line.command == "train" else None
    try:
        return default_recipe_for(weights)
    except ResNeXtError:
        return default_recipe(weights)


def main() -> None:
    """Run one command; report a user's error as one line on standard error and by the exit status."""
    open_closed_streams()
    interrupts = Interrupts()
    try:
        if hasattr(signal, "pthread_sigmask"):  # which Windows lacks
            signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT,))  # see `_ask_for_huge_pages`
        if sys.argv[1:2] == ["help"]:  # as git has it
            sys.argv[1:] = [*sys.argv[2:3], "--help"] if sys.argv[2:] not in ([], ["help"]) else []
        sys.argv[1:] = in_our_spelling(sys.argv[1:])
        line = CommandLine(sys.argv[1:])
        _prepare(line)
        available = commands(line)
        if _answered(line, available):
            sys.stdout.flush()
            sys.exit()
        known = _known(line, available)
        places: dict[str, str] = {}
        if any(line.value_of(option) for option in FILES):
            words, places = with_files(line, known, [*available])
            line = CommandLine(words)
            sys.argv[1:] = line.words
            available = commands(line)
        if line.is_quiet:
            logger.setLevel(logging.WARNING)
        parsed(available, line.command, places)
        sys.stdout.flush()
    except KeyboardInterrupt as error:
        interrupts.leave(getattr(error, "exit_code", 130), str(error) or "interrupted")
    except BrokenPipeError:  # the reader of the pipe has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as error:
        if interrupts.number:  # TensorFlow turns an interrupt into its own error
            interrupts.leave(exit_code(interrupts.number), "interrupted")
        if isinstance(error, MemoryError):
            interrupts.leave(
                OutOfMemoryError.exit_code, "not enough memory. Raise the limit (ulimit -v), or do less at once."
            )
        if not isinstance(error, ResNeXtError | OSError):
            raise  # a bug in resnext
        if isinstance(error, OSError) and error.errno in FULL:
            error = OutputError(f"the output can't be written: {error.strerror}. Make room, or write elsewhere.")
        interrupts.leave(getattr(error, "exit_code", 1), str(error))


def _prepare(line: CommandLine) -> None:
    """Set up the streams, the warnings and the backend of the process."""
    sys.stderr = Spectator(sys.stderr)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # for a terminal that supports ASCII only
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    print_lines()
    warnings.simplefilter("ignore")  # libraries' warnings are for programmers
    os.environ["MPLBACKEND"] = "Agg"  # plots are files, and a notebook's own backend may be missing here
    if backend := _backend_of_export(line):
        os.environ["KERAS_BACKEND"] = backend
    if line.command != "doctor" and not os.environ.get("KERAS_BACKEND"):
        os.environ["KERAS_BACKEND"] = _backend_of_run(line) or installed_backend()
    _ask_for_equal_bytes()
    sys.setswitchinterval(0.0005)  # a thread that has decoded an image waits at most 0.5 ms for the lock, not 5
    if line.command in ("train", "evaluate", "predict", "explain", "export", "serve", "bench"):
        _ask_for_huge_pages()


def _answered(line: CommandLine, available: Mapping[str, Callable[..., None]]) -> bool:
    """Print the overview, the version or the help of a command, if that is what the words ask for."""
    if not line.words or line.words[0] in ("--help", "-h"):
        print(overview(), end="")
    elif line.words in (["--version"], ["-V"], ["version"]):
        print(_versions())
    elif (name := line.command) and name in available and {"--help", "-h"} & {*line.words}:
        print(help_of(name, available[name]), end="")
    else:
        return False
    return True


def _known(line: CommandLine, available: Mapping[str, Callable[..., None]]) -> Known:
    """Return what the command of the line takes; exit with status 2 and one line if there is none, or for a slip."""
    slip = slip_of_command(line, [*available])
    known = Known("") if slip else known_of(str(line.command), available[str(line.command)])
    if slip := slip or slip_of_words(line.words[1:], known):
        logger.error(slip)
        sys.exit(2)
    if not line.value_of("--resume"):  # which compares the options with those of the run
        for words in overruled(line.words[1:], known):
            logger.warning(words)
    return known


def _versions() -> str:
    """Return the versions of resnext, Keras and the backend, without importing them."""
    backend = os.environ["KERAS_BACKEND"]
    packages = {"resnext": "resnext", "Keras": "keras", backend: backend}
    found = {name: version_of(package) for name, package in packages.items()}
    return ", ".join(f"{name} {version}" for name, version in found.items() if version)


def _backend_of_run(line: CommandLine) -> str | None:
    """Return the backend recorded in the run being resumed, if installed: resuming on another is not bit-exact."""
    run = line.value_of("--resume")
    try:
        backend = Run.open(run).config.versions["backend"] if run else None
    except (RunError, KeyError):
        return None  # reported when the line is parsed
    return backend if backend in BACKENDS and importlib.util.find_spec(backend) else None


def _backend_of_export(line: CommandLine) -> str | None:
    """Return the backend that writes the export's format, if only one does."""
    if line.command != "export":
        return None
    file = line.value_of("--out") or next((word for word in line.words[2:3] if not word.startswith("-")), "")
    named = line.value_of("--to") or format_of(Path(file))
    return FORMATS[named].backend if named in FORMATS else None


def _ask_for_equal_bytes() -> None:
    """Make JAX add in the same order each time on a GPU, so that a training resumes to the same bytes there, too.

    A step then takes 1.2 times as long on an H200 (docs/performance.md); the user's XLA_FLAGS can override it.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if "xla_gpu_deterministic_ops" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} --xla_gpu_deterministic_ops=true".strip()


def _ask_for_huge_pages() -> None:
    """Restart the process with memory in pages of 2 MB if the kernel leaves that choice to the program.

    XLA allocates memory again for every step: with large pages ResNeXt-50 trains 1.2 times as fast on JAX
    (docs/decisions.md). glibc reads the setting only when a process starts.
    """
    tunables = os.environ.get("GLIBC_TUNABLES")
    if (
        os.environ["KERAS_BACKEND"] == "jax"
        and tunables is None
        and sys.platform == "linux"
        and hasattr(signal, "pthread_sigmask")
    ):
        os.environ["GLIBC_TUNABLES"] = "glibc.malloc.hugetlb=1"
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))  # until Python has restarted
        os.execv(sys.executable, sys.orig_argv)
