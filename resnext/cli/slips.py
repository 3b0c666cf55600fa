"""What the parser says about slips of the keys, in one line of our own voice.

tyro prints boxes of several lines, with the names of Python's types and the options of other commands. They are kept
while the words are parsed, and their facts are put into one line.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import io
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import tyro

from resnext.errors import printable

# What people type, by what it is called here; the values that other programs use are explained in words.
ALIASES = {
    "--lr": "--learning-rate", "--learning_rate": "--learning-rate", "-b": "--batch-size", "--batch": "--batch-size",
    "--bs": "--batch-size", "-o": "--out", "--output": "--out", "--output-dir": "--out", "--project": "--out",
    "--name": "--out", "--model": "--variant", "--arch": "--variant", "-a": "--variant", "--network": "--variant",
    "--pretrained": "--weights auto", "--finetune": "--weights RUN", "--checkpoint": "--weights RUN",
    "--imgsz": "--image-size", "--img-size": "--image-size", "--img": "--image-size", "--size": "--image-size",
    "--gpu": "--device gpu:0", "--gpus": "--device gpu", "--epoch": "--epochs", "-e": "--epochs",
    "--wd": "--weight-decay", "--opt": "--optimizer", "-j": "--workers", "--num-workers": "--workers",
    "--amp": "--dtype mixed_bfloat16", "--fp16": "--dtype mixed_float16", "--half": "--dtype float16",
    "--smoothing": "--label-smoothing", "--random-seed": "--seed", "--augment": "--recipe", "--config": "--recipe",
    "--top-k": "--top", "--topk": "--top", "--conf": "--threshold", "--save-dir": "--out", "-w": "--weights",
}  # fmt: skip
KINDS = {"INT": "a whole number", "FLOAT": "a number", "PATH": "a path", "STR": "a word"}


def parsed(available: Mapping[str, Callable[..., None]], command: str | None, description: str) -> None:
    """Parse the words and run their command; a slip is reported in one line, with status 2.

    Args:
        available: commands by their names.
        command: name of the command among the words.
        description: what `resnext --help` says first.
    """
    with _held() as box:
        started = {name: _released(function, box) for name, function in available.items()}
        try:
            tyro.extras.subcommand_cli_from_dict(started, prog="resnext", description=description)
        except SystemExit as exit:
            if exit.code != 2 or not box.is_held:
                raise
            options = _options(available[command]) if command and command in available else []
            box.text = f"resnext: {slip_in_words(box.getvalue(), command, options)}\n"
            raise


def slip_in_words(box: str, command: str | None, options: list[str]) -> str:
    """Return one line for what the parser prints.

    >>> slip_in_words("│ Unrecognized options: --lr, 0.1 │", "train", ["--learning-rate"])
    "train has no option '--lr'. Did you mean --learning-rate? resnext train --help lists them."
    """
    text = " ".join(line.strip("│╭╰╮╯─ ") for line in box.splitlines())
    text, name = " ".join(text.split()), command or ""
    end = f"resnext {name} --help lists them.".replace("  ", " ")
    if found := re.search(r"Missing from resnext \S+: (.+?)\(required\)", text):
        return _missing(found[1].strip(), name, text)
    if found := re.search(
        r"Unrecognized options: (.+?)(?: Perhaps you meant| For full helptext| Available sub|$)", text
    ):
        return _unknown(found[1].split(", ")[0].split()[0], name, options, end)
    if found := re.search(r"Error parsing (\S+): [^']*'([^']*)'", text):
        kind = re.search(rf"Argument helptext: {re.escape(found[1])} (\S+)", text)
        wanted = KINDS.get(kind[1].replace("{None}|", "").split()[0] if kind else "", "another value")
        return f"{found[1]} takes {wanted}. Received: {found[2]!r}. resnext {name} --help explains it."
    if found := re.search(r"invalid choice '(.*?)' for argument '(.*?)'\. Expected one of \((.*?)\)", text):
        allowed = found[3].replace("'", "").rstrip(",")
        nearest = difflib.get_close_matches(found[1], allowed.split(", "), n=1)
        hint = f" Did you mean {nearest[0]}?" if nearest else ""
        return f"{found[2]} must be one of {allowed}. Received: {found[1]!r}.{hint}"
    if found := re.search(r"Missing value for argument '(.*?)'", text):
        argument = found[1] if found[1].startswith("-") else found[1].upper()
        return f"{argument} needs a value. resnext {name} --help explains it."
    return f"{text.split(' For full helptext')[0]}. {end}"


def _missing(argument: str, name: str, text: str) -> str:
    """Return the line for an argument that is missing: its name, what it is, and how to pass it."""
    word, *rest = argument.split(" ", 1)
    if word.startswith("--"):
        word = " ".join(argument.split(" ")[:2])
        rest = [" ".join(argument.split(" ")[2:])]
    extra = re.search(r"Unrecognized options: (\S+)", text)
    hint = f" ({printable(extra[1])} stands without it)" if extra else ""
    what = f": {rest[0].strip().rstrip('.')}" if rest and rest[0] else ""
    return f"{name} needs {word}{hint}{what}. Pass resnext {name} {word}"


def _unknown(word: str, name: str, options: list[str], end: str) -> str:
    """Return the line for a word that the parser does not know."""
    option, separator, value = word.partition("=")
    if not word.startswith("-"):
        known = f"--{option.replace('_', '-')}"
        if separator and known in options:
            return f"{printable(word)}: options begin with two hyphens. Pass {known} {printable(value)}"
        return f"{printable(word)} is a word too many for {name}; options begin with two hyphens. {end}"
    called = ALIASES.get(option)
    others = [each for each in options if each != "--help"]
    nearest = difflib.get_close_matches(option.replace("_", "-"), others, n=1)
    meant = called if called and called.split()[0] in options else nearest[0] if nearest else None
    hint = f" Did you mean {meant}?" if meant else ""
    return f"{name} has no option {printable(option)!r}.{hint} {end}"


def _options(function: Callable[..., None]) -> list[str]:
    """Return the options of a command."""
    parser = tyro.extras.get_parser(function)
    return [option for action in parser._actions for option in action.option_strings if option.startswith("--")]


class _Box(io.StringIO):
    """Standard error while the words are parsed; `release` lets it through, as it is or in other words."""

    def __init__(self, stream: Any):
        super().__init__()
        self.stream, self.is_held, self.text = stream, True, ""

    def release(self) -> None:
        """Put the stream back, and write what was kept."""
        if self.is_held:
            self.is_held = False
            sys.stderr = self.stream
            self.stream.write(self.text or self.getvalue())


@contextlib.contextmanager
def _held() -> Iterator[_Box]:
    box = _Box(sys.stderr)
    sys.stderr = box
    try:
        yield box
    finally:
        box.release()


def _released(function: Callable[..., None], box: _Box) -> Callable[..., None]:
    """Return a command that lets standard error through before it begins."""

    @functools.wraps(function)
    def run(*arguments: Any, **keywords: Any) -> None:
        box.release()
        function(*arguments, **keywords)

    return run
