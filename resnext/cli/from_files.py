"""Options that stand in files: those of a TOML file, and those of an earlier run."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from resnext.cli.command_line import CommandLine
from resnext.cli.known import WORDS, Known, no_option
from resnext.errors import ArgumentError, NotFoundError, one_line, printable
from resnext.files import read_regular, similar, user_path
from resnext.recipes.names import NAMES, default_recipe, get_recipe
from resnext.runs.config import TrainingOptions
from resnext.runs.run import Run

MOST = 1_000_000  # bytes of a file
FILES = ("--like", "--config")  # options that stand for others; what is typed outweighs both, and the file the run


def with_files(line: CommandLine, known: Known, commands: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return the words of a line with the options of its files in place of their names, and where these stand.

    Args:
        line: words after `resnext`.
        known: what the command takes.
        commands: names of all commands, which are those of tables in a file.

    Raises:
        ArgumentError: a file has options that the command does not have.
        RunError: the run can't be read.
    """
    command, *rest = line.words
    if line.value_of("--like") and "--like" not in known.options:
        raise ArgumentError(no_option("--like", known, {}))
    typed = [*_without(rest, FILES)]
    options: dict[str, tuple[Any, str]] = {}  # values, and where they stand
    if run := line.value_of("--like"):
        options |= {name: (value, run) for name, value in _options_of(Run.open(user_path(run))).items()}
    if file := line.value_of("--config"):
        read = _read(user_path(file), command, commands)
        options |= {name: (value, file) for name, value in read.items()}
    count = next((place for place, word in enumerate(typed) if word.startswith("-")), len(typed))
    alone = _alone(options, known)
    words = [word for name, (value, source) in options.items() if name not in alone.values()
             for word in _option(name.replace("_", "-"), value, known, source)]  # fmt: skip
    first = [str(options[alone[name]][0]) for name in known.words[count:] if name in alone]
    places = {f"--{name.replace('_', '-')}": source for name, (_, source) in options.items()}
    for word in typed:
        places.pop(word.partition("=")[0], None)
    return [command, *typed[:count], *first, *words, *typed[count:]], places


def _alone(options: Mapping[str, Any], known: Known) -> dict[str, str]:
    """Return the names of options that are words without hyphens for the command, by the names of these words."""
    return {
        word: name
        for word in known.words
        for name in options
        if name.replace("_", "-") in WORDS.get(word, (word.lower(),)) and f"--{name}" not in known.options
    }


def _without(words: Sequence[str], options: Sequence[str]) -> Iterator[str]:
    """Yield words without options and their values."""
    is_value = False
    for word in words:
        if not is_value and word.partition("=")[0] not in options:
            yield word
        is_value = not is_value and word in options


def _read(path: Path, command: str, commands: Sequence[str]) -> dict[str, Any]:
    """Return the options of a TOML file for a command: those above all tables, and those of the command's own table."""
    try:
        document = tomllib.loads(read_regular(path, MOST).decode())
    except FileNotFoundError:
        raise NotFoundError(f"{printable(path)} does not exist.{similar(path)} Pass --config FILE.toml") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ArgumentError(f"{printable(path)}: no TOML file ({one_line(error)})") from error
    tables = {name: value for name, value in document.items() if isinstance(value, Mapping)}
    if other := next((name for name in tables if name not in commands), None):
        raise ArgumentError(
            f"{printable(path)}: [{printable(other)}] is no command. A table has the options of the command that it is "
            "named by; options above all tables are for every command"
        )
    above = {name: value for name, value in document.items() if name not in tables}
    return _once(above, path) | _once(tables.get(command, {}), path)


def _once(table: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Return a table with hyphens as underscores. Raises ArgumentError if two of its names are then the same."""
    options: dict[str, Any] = {}
    for name, value in table.items():
        plain = name.replace("-", "_")
        if plain in options:
            raise ArgumentError(f"{printable(path)}: {plain.replace('_', '-')} and {plain} are one option. Keep one")
        options[plain] = value
    return options


def _options_of(run: Run) -> dict[str, Any]:
    """Return the options with which a run was trained, but for its folder."""
    config = run.config
    recipe = dataclasses.asdict(config.recipe)
    name = recipe.pop("name")
    usual = get_recipe(name) if name in NAMES else default_recipe(config.options.weights)
    before = dataclasses.asdict(usual) | dataclasses.asdict(TrainingOptions())
    own = {**recipe, **dataclasses.asdict(config.options)}
    changed = {option: value for option, value in own.items() if value != before[option]}
    return {"data": config.data, "recipe": usual.name, "variant": config.variant.name, **changed}


def _option(name: str, value: Any, known: Known, source: str) -> list[str]:
    """Return an option and its value as words. Raises ArgumentError."""
    where = f"{printable(source)}: {name}"
    if f"--{name}" in FILES or name == "help":
        raise ArgumentError(f"{where} can't stand in a file. Type it")
    count = known.options.get(f"--{name}")
    if count is None:
        raise ArgumentError(f"{printable(source)}: {no_option(f'--{name}', known, {})}")
    if (count == 0) != isinstance(value, bool):
        wanted = "must be true or false" if count == 0 else "takes a value, not true or false"
        raise ArgumentError(f"{where} {wanted}. Received: {json.dumps(value, default=str)}")
    if value == "":
        raise ArgumentError(f"{where} has an empty value. Write one, or leave it out")
    if isinstance(value, bool):
        negated = [f"--no-{name}"] if f"--no-{name}" in known.options else []
        return [f"--{name}"] if value else negated
    if isinstance(value, list | tuple):
        flat = [each for part in value for each in (part if isinstance(part, list | tuple) else [part])]
        return [f"--{name}", *map(str, flat)] if flat else []
    if value is None or isinstance(value, str | int | float):
        return [f"--{name}", str(value)]
    raise ArgumentError(f"{where} can't be a {type(value).__name__}. Write a number, a text or a list")
