"""What the commands take, and what was meant by an option that one of them does not have."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import tyro

from resnext.errors import printable
from resnext.keywords import CALLED_HERE

# What people type, by what it is called here with a value; names alone are in `CALLED_HERE`.
ALIASES = {
    "-b": "--batch-size", "-o": "--out", "-a": "--variant", "-e": "--epochs", "-j": "--workers", "-w": "--weights",
    "--pretrained": "--weights auto", "--finetune": "--weights RUN", "--checkpoint": "--weights RUN",
    "--gpu": "--device gpu:0", "--gpus": "--device gpu", "--json": "--format json", "--silent": "--quiet",
    "--amp": "--dtype mixed_bfloat16", "--fp16": "--dtype mixed_float16", "--half": "--dtype float16",
    "--tensorboard": "--log tensorboard", "--cfg": "--config", "--yaml": "--config",
}  # fmt: skip
# What people type before a word that stands without an option.
WORDS = {
    "DATA": ("data", "d", "dataset", "data-dir", "data-path", "train-dir", "root", "path", "folder", "train"),
    "MODEL": ("model", "m", "run", "net", "network", "checkpoint", "ckpt"),
    "INPUT...": ("image", "images", "i", "img", "input", "inputs", "source", "src", "file", "files", "data"),
}
HYPHENS = "-\N{EN DASH}\N{EM DASH}\N{MINUS SIGN}"  # the last three are what word processors make of two hyphens
CLOSE = 0.75  # a word less alike is another word: --imgsz is not --weights


@dataclass(frozen=True)
class Known:
    """What a command takes: its name, its options, and the words that stand without one.

    Args:
        command: its name.
        options: the values that each option takes, a number or "*" for any number of them.
        words: names of the words without an option.
        choices: the values that an option allows, if they are few.
    """

    command: str
    options: Mapping[str, int | str] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def split(self, words: Sequence[str]) -> tuple[list[str], list[str]]:
        """Return the words that stand without an option, and the others.

        >>> Known("train", {"--epochs": 1, "--mean": 3}).split(["photos", "--epochs", "5", "more", "--mean=1"])
        (['photos', 'more'], ['--epochs', '5', '--mean=1'])
        """
        alone: list[str] = []
        options: list[str] = []
        values: float = 0
        for word in words:
            if _is_option(word):
                count = self.options.get(word, 0)
                values = float("inf") if count == "*" else int(count)
                options.append(word)
            else:
                (options if values > 0 else alone).append(word)
                values -= 1
        return alone, options

    def line(self, alone: Sequence[str], options: Sequence[str]) -> str:
        """Return a command line of these words, as a shell needs them."""
        return " ".join(["resnext", self.command, *(_quoted(word) for word in (*alone, *options))])


def known_of(command: str, function: Callable[..., None]) -> Known:
    """Return what a command takes."""
    actions = tyro.extras.get_parser(function)._actions
    named = {option: _values(action.nargs) for action in actions for option in action.option_strings}
    words = tuple(str(action.metavar) for action in actions if not action.option_strings)
    choices = {
        option: tuple(in_order(action.choices))
        for action in actions
        if action.choices
        for option in action.option_strings
    }
    return Known(command, named, words, choices)


def _values(nargs: int | str | None) -> int | str:
    return 1 if nargs is None or nargs == "?" else nargs


def in_order(choices: Iterable[object]) -> list[str]:
    """Return the choices of an option without None, with which they have no order of their own.

    >>> in_order(["csv", "None", "json"]), in_order(["table", "json"])
    (['csv', 'json'], ['table', 'json'])
    """
    words = [*map(str, choices)]
    return sorted(word for word in words if word != "None") if "None" in words else words


def unknown_option(words: Sequence[str], known: Known, others: Mapping[str, Known]) -> str | None:
    """Return one line about the first option that a command does not have, or None.

    >>> unknown_option(["photos", "--lr", "0.1"], Known("train", {"--learning-rate": 1}), {})
    "train has no option '--lr'. Did you mean --learning-rate? resnext train --help lists them."
    >>> unknown_option(["--data", "photos", "-q"], Known("train", words=("DATA",)), {})
    'DATA stands without --data: resnext train photos -q'
    """
    for place, word in enumerate(words):
        option, separator, value = word.partition("=")
        if not _is_option(word) or option in known.options:
            continue
        plain = _plain(option)
        for index, name in enumerate(known.words):
            if plain in WORDS.get(name, ()):
                after = 1 if separator else 2
                alone, options = known.split([*words[:place], *words[place + after :]])
                alone.insert(index, value if separator else next(iter(words[place + 1 :]), name))
                return f"{name} stands without {printable(option)}: {known.line(alone, options)}"
        before = words[place - 1] if place else ""
        if known.options.get(before) == 1 and len(option) == 2 and option not in ALIASES:
            return f"{before} needs a value. Received: {word!r}, which begins with a hyphen. A path can begin with ./"
        return no_option(option, known, others)
    return None


def no_option(option: str, known: Known, others: Mapping[str, Known]) -> str:
    """Return one line about an option that a command does not have.

    Args:
        option: the option.
        known: what the command takes.
        others: what all commands take.
    """
    name, plain = known.command, _plain(option)
    meant = _called_here(option, plain, known)
    if meant:
        hint = f" Did you mean {meant}?"
    else:
        near = difflib.get_close_matches(f"--{plain}", [each for each in known.options if each != "--help"], 1, CLOSE)
        hint = _elsewhere(plain, others) + (f" Did you mean {near[0]}?" if near and len(plain) > 1 else "")
    return f"{name} has no option {printable(option)!r}.{hint} resnext {name} --help lists them."


def _called_here(option: str, plain: str, known: Known) -> str | None:
    """Return what another library's option is called in the command, with a value where its alias has one."""
    if f"--{plain}" in known.options:
        return f"--{plain}"
    called, _, value = ALIASES.get(option, ALIASES.get(f"--{plain}", "")).partition(" ")
    if called in known.options:
        return f"{called} {value}" if value and known.options[called] else called
    return next((f"--{name}" for name in _names_here(plain) if f"--{name}" in known.options), None)


def _elsewhere(plain: str, others: Mapping[str, Known]) -> str:
    """Return a space and a sentence that says which commands have an option, if any do."""
    for called in (f"--{plain}", *(f"--{name}" for name in _names_here(plain))):
        if having := [name for name, other in others.items() if called in other.options]:
            return f" {called} is an option of {', '.join(having)}."
    return ""


def _names_here(plain: str) -> list[str]:
    return [name.replace("_", "-") for name in CALLED_HERE.get(plain.replace("-", "_"), "").split()]


def _plain(option: str) -> str:
    return option.lstrip(HYPHENS).lower().replace("_", "-")


def _is_option(word: str) -> bool:
    return len(word) > 1 and word[0] in HYPHENS and not _is_number(word)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _quoted(word: str) -> str:
    return shlex.quote(printable(word)) if word not in WORDS else word
