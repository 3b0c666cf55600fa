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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
    "--smoothing": "--label-smoothing", "--random-seed": "--seed", "--augment": "--recipe",
    "--json": "--format json", "--tensorboard": "--log tensorboard",
    "--silent": "--quiet", "--cfg": "--config", "--yaml": "--config",
    "--top-k": "--top", "--topk": "--top", "--conf": "--threshold", "--save-dir": "--out", "-w": "--weights",
}  # fmt: skip
# What people type before a word that stands without an option.
WORDS = {
    "DATA": ("data", "d", "dataset", "data-dir", "data-path", "train-dir", "root", "path", "folder", "train"),
    "MODEL": ("model", "m", "run", "net", "network", "checkpoint", "ckpt"),
    "INPUT...": ("image", "images", "i", "img", "input", "inputs", "source", "src", "file", "files", "data"),
}
HYPHENS = "-\N{EN DASH}\N{EM DASH}\N{MINUS SIGN}"  # the last three are what word processors make of two hyphens
KINDS = {"INT": "a whole number", "FLOAT": "a number", "PATH": "a path", "STR": "a word"}


def parsed(available: Mapping[str, Callable[..., None]], command: str | None) -> None:
    """Parse the words and run their command; a slip is reported in one line, with status 2.

    Args:
        available: commands by their names.
        command: name of the command among the words.
    """
    with _held() as box:
        started = {name: _released(function, box) for name, function in available.items()}
        try:
            tyro.extras.subcommand_cli_from_dict(started, prog="resnext")
        except SystemExit as exit:
            if exit.code != 2 or not box.is_held:
                raise
            known = known_of(command, available[command]) if command and command in available else Known("")
            slip = unknown_option(sys.argv[2:], known) or slip_in_words(box.getvalue(), command)
            box.text = f"resnext: {slip}\n"
            raise


@dataclass(frozen=True)
class Known:
    """What a command takes: its name, its options, those that take a value, and the words that stand without one."""

    command: str
    options: tuple[str, ...] = ()
    with_value: frozenset[str] = frozenset()
    words: tuple[str, ...] = ()


def unknown_option(words: Sequence[str], known: Known) -> str | None:
    """Return one line about the first option that a command does not have, or None.

    >>> unknown_option(["photos", "--lr", "0.1"], Known("train", ("--learning-rate",)))
    "train has no option '--lr'. Did you mean --learning-rate? resnext train --help lists them."
    >>> unknown_option(["--data", "photos"], Known("train", words=("DATA",)))
    'DATA stands without --data: resnext train photos'
    """
    for place, word in enumerate(words):
        option, separator, value = word.partition("=")
        if len(word) < 2 or word[0] not in HYPHENS or option in known.options or _is_number(word):
            continue
        value = value if separator else next(iter(words[place + 1 :]), "")
        plain = _plain(option)
        for name in known.words:
            if plain in WORDS.get(name, ()):
                return f"{name} stands without {printable(option)}: resnext {known.command} {printable(value) or name}"
        return no_option(option, known)
    return None


def no_option(option: str, known: Known) -> str:
    """Return one line about an option that a command does not have."""
    meant = _meant(option, _plain(option), known)
    hint = f" Did you mean {meant}?" if meant else ""
    name = known.command
    return f"{name} has no option {printable(option)!r}.{hint} resnext {name} --help lists them."


def _plain(option: str) -> str:
    return option.lstrip(HYPHENS).lower().replace("_", "-")


def _meant(option: str, plain: str, known: Known) -> str | None:
    """Return the option of the command that was meant, with a value where its alias has one, or None."""
    others = [each for each in known.options if each != "--help"]
    called, _, value = ALIASES.get(option, ALIASES.get(f"--{plain}", "")).partition(" ")
    if called in others:
        return f"{called} {value}" if value and called in known.with_value else called
    return next(iter(difflib.get_close_matches(f"--{plain}", others, n=1)), None)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def slip_in_words(box: str, command: str | None) -> str:
    """Return one line for what the parser prints.

    >>> slip_in_words("│ Missing value for argument '--epochs' │", "train")
    '--epochs needs a value. resnext train --help explains it.'
    """
    text = " ".join(line.strip("│╭╰╮╯─ ") for line in box.splitlines())
    text, name = " ".join(text.split()), command or ""
    end = f"resnext {name} --help lists them.".replace("  ", " ")
    if found := re.search(r"Missing from resnext \S+: (.+?)\(required\)", text):
        return _missing(found[1].strip(), name, text)
    if found := re.search(
        r"Unrecognized options: (.+?)(?: Perhaps you meant| For full helptext| Available sub|$)", text
    ):
        return _too_many(found[1].split(", ")[0].split()[0], name, end)
    if found := re.search(r"Error parsing (\S+): [^']*'([^']*)'", text):
        kind = re.search(rf"Argument helptext: {re.escape(found[1])} (\S+)", text)
        wanted = KINDS.get(kind[1].replace("{None}|", "").split()[0] if kind else "", "another value")
        return f"{found[1]} takes {wanted}. Received: {found[2]!r}. resnext {name} --help explains it."
    if found := re.search(r"invalid choice '(.*?)' for argument '(.*?)'\. Expected one of \((.*?)\)", text):
        allowed = in_order(found[3].replace("'", "").rstrip(",").split(", "))
        nearest = difflib.get_close_matches(found[1], allowed, n=1)
        hint = f" Did you mean {nearest[0]}?" if nearest else ""
        some = f"one of {', '.join(allowed)}" if len(allowed) > 1 else f"{allowed[0]}, or left out"
        return f"{found[2]} must be {some}. Received: {found[1]!r}.{hint}"
    if found := re.search(r"Missing value for argument '(.*?)'", text):
        argument = found[1] if found[1].startswith("-") else found[1].upper()
        return f"{argument} needs a value. resnext {name} --help explains it."
    return f"{text.split(' For full helptext')[0]}. {end}"


def in_order(choices: Iterable[object]) -> list[str]:
    """Return the choices of an option without None, with which they have no order of their own.

    >>> in_order(["csv", "None", "json"]), in_order(["table", "json"])
    (['csv', 'json'], ['table', 'json'])
    """
    words = [*map(str, choices)]
    return sorted(word for word in words if word != "None") if "None" in words else words


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


def _too_many(word: str, name: str, end: str) -> str:
    """Return the line for a word without hyphens that a command has no place for."""
    option, separator, value = word.partition("=")
    if separator:
        known = f"--{option.replace('_', '-')}"
        return f"{printable(word)}: options begin with two hyphens. Pass {known} {printable(value)}"
    return f"{printable(word)} is a word too many for {name}; options begin with two hyphens. {end}"


def known_of(command: str, function: Callable[..., None]) -> Known:
    """Return what a command takes."""
    actions = tyro.extras.get_parser(function)._actions
    named = {option: action.nargs != 0 for action in actions for option in action.option_strings}
    words = tuple(str(action.metavar) for action in actions if not action.option_strings)
    return Known(command, (*named,), frozenset(option for option, takes in named.items() if takes), words)


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
