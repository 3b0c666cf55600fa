"""The command line before it is parsed: the backend and the defaults of options depend on parts of it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

# Options with several values, which users may separate by commas.
LISTS = "freeze|steps|crop-area|mean|std"


# American spellings, which are accepted: of options, and of the values of an option.
OPTIONS = {"--normalization": "--normalisation", "--grayscale": "--greyscale", "--colour-jitter": "--color-jitter"}
VALUES = {("--crop", "center"): "centre", ("--channels", "gray"): "grey"}


def in_our_spelling(words: Sequence[str]) -> list[str]:
    """Return the words with options and values as they are spelt here.

    >>> in_our_spelling(["train", "photos", "--crop", "center", "--grayscale=0.1"])
    ['train', 'photos', '--crop', 'centre', '--greyscale=0.1']
    """
    spelt: list[str] = []
    for word in words:
        option, separator, value = word.partition("=")
        option = OPTIONS.get(option, option)
        value = VALUES.get((option, value), value)
        before = spelt[-1] if spelt else ""
        spelt.append(f"{option}={value}" if separator else VALUES.get((before, option), option))
    return spelt


class CommandLine:
    """The words after `resnext`.

    >>> line = CommandLine(["train", "digits", "--recipe=photos"])
    >>> line.command, line.value_of("--recipe"), line.value_of("--weights")
    ('train', 'photos', None)
    """

    def __init__(self, words: Sequence[str]):
        self.words = words

    @property
    def command(self) -> str | None:
        """The name of the command; None if an option comes first or there are no words."""
        return self.words[0] if self.words and self.words[0] and not self.words[0].startswith("-") else None

    def value_of(self, option: str) -> str | None:
        """Return the value of an option; if it is passed repeatedly, the last one."""
        values = [second for first, second in itertools.pairwise(self.words) if first == option]
        values += [word.removeprefix(f"{option}=") for word in self.words if word.startswith(f"{option}=")]
        return values[-1] if values else None

    @property
    def is_quiet(self) -> bool:
        """Whether progress and notes are not wanted."""
        return "--quiet" in self.words

    def joined_values(self) -> tuple[str, str] | None:
        """Return an option and its values if they are separated by commas.

        >>> CommandLine(["train", "digits", "--mean", "0.5,0.5,0.5"]).joined_values()
        ('--mean', '0.5,0.5,0.5')
        """
        found = re.search(rf" (--(?:{LISTS}))[ =]([\d.]+(,[\d.]+)+)( |$)", f" {' '.join(self.words)}")
        return (found[1], found[2]) if found else None
