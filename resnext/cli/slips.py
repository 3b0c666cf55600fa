"""What the parser says about slips of the keys, in one line of our own voice.

tyro prints boxes of several lines, with the names of Python's types and the options of other commands. They are kept
while the words are parsed, and their facts are put into one line.
"""

from __future__ import annotations

import contextlib
import functools
import io
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import tyro

from resnext.cli.known import Known, in_order, known_of, unknown_option
from resnext.errors import did_you_mean, printable
from resnext.exporting.formats import FORMATS
from resnext.files import user_path

KINDS = {"INT": "a whole number", "FLOAT": "a number", "PATH": "a path", "STR": "a word"}


def parsed(available: Mapping[str, Callable[..., None]], command: str | None, places: Mapping[str, str]) -> None:
    """Parse the words and run their command; a slip is reported in one line, with status 2.

    Args:
        available: commands by their names.
        command: name of the command among the words.
        places: the file or the run in which an option stands, if it was not typed.
    """
    with _held() as box:
        started = {name: _released(function, box) for name, function in available.items()}
        try:
            tyro.extras.subcommand_cli_from_dict(started, prog="resnext")
        except SystemExit as exit:
            if exit.code != 2 or not box.is_held:
                raise
            everything = {name: known_of(name, function) for name, function in available.items()}
            known, words = everything.get(command or "", Known("")), sys.argv[2:]
            slip = unknown_option(words, known, everything) or slip_in_words(box.getvalue(), known, words)
            place = places.get(slip.split()[0])
            box.text = f"resnext: {f'{printable(place)}: ' if place else ''}{slip}\n"
            raise


def slip_in_words(box: str, known: Known, words: Sequence[str]) -> str:
    """Return one line for what the parser prints.

    Args:
        box: what it prints.
        known: what the command takes.
        words: the words after the command.

    >>> slip_in_words("│ Missing value for argument '--epochs' │", Known("train"), ["--epochs"])
    '--epochs needs a value. resnext train --help explains it.'
    """
    text = " ".join(line.strip("│╭╰╮╯─ ") for line in box.splitlines())
    text, name = " ".join(text.split()), known.command
    end = f"resnext {name} --help lists them.".replace("  ", " ")
    if found := re.search(r"Missing from resnext \S+: (.+?)\(required\)", text):
        return _missing(found[1].strip(), known, words)
    if found := re.search(
        r"Unrecognized options: (.+?)(?: Perhaps you meant| For full helptext| Available sub|$)", text
    ):
        return _too_many(found[1].split(", ")[0].split()[0], name, end)
    if found := re.search(r"Error parsing (\S+): [^']*'([^']*)'", text):
        kind = re.search(rf"Argument helptext: {re.escape(found[1])} (\S+)", text)
        wanted = KINDS.get(kind[1].replace("{None}|", "").split()[0] if kind else "", "another value")
        return f"{found[1]} takes {wanted}. Received: {found[2]!r}. resnext {name} --help explains it."
    if found := re.search(r"invalid choice '(.*?)' for argument '(.*?)'\. Expected one of \((.*?)\)", text):
        return _no_choice(name, found[2], found[1], in_order(found[3].replace("'", "").rstrip(",").split(", ")))
    if found := re.search(r"Missing value for argument '(.*?)'", text):
        argument = found[1] if found[1].startswith("-") else found[1].upper()
        count = known.options.get(argument, 1)
        needs = "needs a value" if count in (0, 1, "*") else f"takes {count} values"
        return f"{argument} {needs}. resnext {name} --help explains it."
    return f"{text.split(' For full helptext')[0]}. {end}"


def _no_choice(name: str, option: str, given: str, allowed: Sequence[str]) -> str:
    """Return the line for a value that is none of those that an option allows."""
    hint = did_you_mean(given, allowed)
    if option == "--format" and given in FORMATS:  # of export and convert, which other programs call so
        hint = f" The suffix of the file, or --to {given}, determines its format"
    some = f"one of {', '.join(allowed)}" if len(allowed) > 1 else f"{allowed[0]}, or left out"
    what = f"{option} must be" if option.startswith("-") else f"{name} takes"
    return f"{what} {some}. Received: {given!r}.{hint}"


def _missing(argument: str, known: Known, words: Sequence[str]) -> str:
    """Return the line for an argument that is missing: its name, what it is, and how to pass it."""
    is_option = argument.startswith("--")
    *named, what = argument.split(" ", 2 if is_option else 1)
    name, alone, options = " ".join(named) or what, *known.split(words)
    if is_option:
        is_last = len(alone) > 1 and not user_path(alone[-1]).exists()  # as in `cp A B`
        value = alone.pop() if is_last else named[1]
        options = [*options, named[0], value]
    else:
        alone = [*alone, name]
    about = f": {what.strip().rstrip('.')}" if named and what else ""
    return f"{known.command} needs {name}{about}. Pass {known.line(alone, options)}"


def _too_many(word: str, name: str, end: str) -> str:
    """Return the line for a word without hyphens that a command has no place for."""
    option, separator, value = word.partition("=")
    if separator:
        known = f"--{option.replace('_', '-')}"
        return f"{printable(word)}: options begin with two hyphens. Pass {known} {printable(value)}"
    return f"{printable(word)} is a word too many for {name}; options begin with two hyphens. {end}"


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
