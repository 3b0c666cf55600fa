"""What is wrong with the words of a command before they are parsed: parsers drop some of it in silence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from resnext.cli.command_line import CommandLine
from resnext.cli.from_files import FILES
from resnext.cli.known import WORDS, Known
from resnext.cli.overview import SYNONYMS, example_for
from resnext.errors import did_you_mean, printable
from resnext.files import user_path

SWITCHES = ("true", "false", "yes", "no", "on", "off", "1", "0")
EMPTY_IS_A_VALUE = ("--freeze", "--steps")  # "none of them", against a recipe that has some


def slip_of_command(line: CommandLine, available: Sequence[str]) -> str | None:
    """Return one line about the first word if it is no command, or about values that are separated by commas; or None.

    Args:
        line: all words; there is one at least.
        available: names of the commands.
    """
    first = line.words[0]
    if line.command in available:
        if joined := line.joined_values():
            option, values = joined
            return f"{option} {values}: separate values by spaces. Pass {option} {values.replace(',', ' ')}"
        return None
    if line.command in SYNONYMS:
        return f"no command {line.command!r}: here it is resnext {SYNONYMS[line.command]}"
    if line.command is None and (word := next((word for word in line.words if word in available), None)):
        return f"{printable(first)}: the command comes first: resnext {word} ... {printable(first)} ..."
    if line.command is None:
        return f"{printable(first)!r} is no command. resnext --help shows the commands, resnext --version the version"
    others = f"{did_you_mean(first, available)} The commands are {', '.join(available)}."
    return f"no command {first!r}.{example_for(first) or others}"


def slip_of_words(words: Sequence[str], known: Known) -> str | None:
    """Return one line about the first slip in the words of a command, or None.

    >>> slip_of_words(["photos", "--variant", ""], Known("train", {"--variant": 1}, ("DATA",)))
    '--variant has an empty value. Pass one, or leave --variant out.'
    >>> slip_of_words(["photos", "--log", "jsonl", "--log", "wandb"], Known("train", {"--log": "*"}, ("DATA",)))
    '--log stands 2 times. Pass all values at once: --log A B.'
    """
    checks = (_empty, _repeated, _switched, _without_value, _assigned)
    return next(filter(None, (check(words, known) for check in checks)), None)


def _empty(words: Sequence[str], known: Known) -> str | None:
    for place, word in enumerate(words):
        option, separator, value = word.partition("=")
        before = words[place - 1] if place else ""
        if not word and before in known.options:
            option, separator = before, "="
        if separator and not value and option in known.options:
            return f"{option} has an empty value. Pass one, or leave {option} out."
        if not word:
            what = " ".join(known.words) or "options"
            return f"{known.command} takes {what}; one word is empty. Leave it out, or fill it."
    return None


def overruled(words: Sequence[str], known: Known) -> list[str]:
    """Return a line about each option of which a later one takes the place.

    >>> overruled(["photos", "--epochs=2", "--epochs=3"], Known("train", {"--epochs": 1}, ("DATA",)))
    ['--epochs stands 2 times; the last one counts']
    """
    typed = [word.partition("=")[0] for word in words]
    times = Counter(option for option in typed if known.options.get(option))
    found = [f"{option} stands {number} times; the last one counts" for option, number in times.items() if number > 1]
    switches = {option for option in typed if option in known.options and f"--no-{option[2:]}" in typed}
    return found + [f"{option} and --no-{option[2:]} contradict each other; the last one counts" for option in switches]


def _repeated(words: Sequence[str], known: Known) -> str | None:
    """Return a line about a list or a file of options that stands twice, of which the first would not be read."""
    for option, times in Counter(word.partition("=")[0] for word in words).items():
        if times > 1 and option in FILES:
            return f"{option} stands {times} times. Pass it once."
        if times > 1 and known.options.get(option) == "*":
            return f"{option} stands {times} times. Pass all values at once: {option} A B."
    return None


def _switched(words: Sequence[str], known: Known) -> str | None:
    """Return a line about --flip false or --flip=1."""
    for place, word in enumerate(words):
        option, separator, value = word.partition("=")
        value = value if separator else next(iter(words[place + 1 :]), "")
        is_switch = value.lower() in SWITCHES and not user_path(value).exists()  # a folder may be called 1
        if known.options.get(option) == 0 and (separator or is_switch):
            negated = f"--no-{option[2:]}"
            how = f"{option} or {negated}" if negated in known.options else f"{option} alone, or leave it out"
            return f"{option} takes no value. Received: {value!r}. Pass {how}."
    return None


def _without_value(words: Sequence[str], known: Known) -> str | None:
    for place, word in enumerate(words):
        following = next(iter(words[place + 1 :]), "--")
        if known.options.get(word) == "*" and following.startswith("--") and word not in EMPTY_IS_A_VALUE:
            return f"{word} needs a value. resnext {known.command} --help explains it."
    return None


def _assigned(words: Sequence[str], known: Known) -> str | None:
    """Return a line about a word such as top=3, which would be taken for the name of a file."""
    alone, options = known.split(words)
    for place, word in enumerate(alone):
        name, separator, value = word.partition("=")
        option = f"--{name.lower().replace('_', '-')}"
        if not separator or user_path(word).exists():
            continue
        if option in known.options:
            return f"{printable(word)}: options begin with two hyphens. Pass {option} {printable(value)}"
        if any(option[2:] in WORDS.get(each, ()) for each in known.words):
            line = known.line([*alone[:place], value, *alone[place + 1 :]], options)
            return f"{printable(word)}: it stands without {printable(name)}=: {line}"
    return None
