"""Fonts for names in any script: matplotlib's own has Latin, Greek, Cyrillic, Arabic and little else."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable, Sequence

from resnext.errors import counted, printable

logger = logging.getLogger(__name__)


INSTALL = "Install a font for them, such as one of Debian's packages fonts-noto"
OWN = "DejaVu Sans"  # comes with matplotlib


def legible(names: Sequence[str], numbers: Sequence[int] | None = None) -> list[str]:
    """Return the names; one that no installed font can draw becomes "class NUMBER", with a warning.

    Args:
        names: names of classes.
        numbers: number of each; by default they count from 0.
    """
    _, undrawn = _choose(frozenset("".join(names)))
    places = range(len(names)) if numbers is None else numbers
    shown = [f"class {i}" if undrawn & {*name} else name for i, name in zip(places, names, strict=True)]
    _report(tuple(f"{name} is {old}" for name, old in zip(shown, names, strict=True) if name != old))
    return shown


def drawable(text: str) -> str:
    """Return a text with a question mark for each character that no installed font can draw, with a warning."""
    _, undrawn = _choose(frozenset(text))
    if undrawn:
        _report_text(text)
    return "".join("?" if character in undrawn else character for character in text)


def families(names: Iterable[str]) -> list[str]:
    """Return the fonts that draw the names, matplotlib's own first."""
    chosen, _ = _choose(frozenset("".join(names)))
    return [OWN, *chosen]


def _undrawn(characters: Iterable[str], font: str) -> frozenset[str]:
    return frozenset(c for c in characters if ord(c) not in _charmap(font) and not c.isspace())


@functools.cache
def _choose(characters: frozenset[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Add fonts to matplotlib's own until every character is drawn; return them, and the characters that none draws."""
    left, chosen = _undrawn(characters, OWN), []
    for font in _installed() if left else ():
        rest = _undrawn(left, font)
        if rest != left:
            left, chosen = rest, [*chosen, font]
        if not left:
            break
    return tuple(chosen), left


@functools.cache
def _installed() -> dict[str, str]:
    """Return the files of the installed fonts by family; Unicode's "Last Resort" has a box for every character."""
    from matplotlib.font_manager import fontManager

    fonts = sorted(fontManager.ttflist, key=lambda font: font.name)
    plain = [font for font in fonts if (font.style, str(font.weight), font.stretch) == ("normal", "400", "normal")]
    return {font.name: font.fname for font in plain if not font.name.startswith("Last Resort")}


@functools.cache
def _charmap(family: str) -> frozenset[int]:
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(FT2Font(_installed()[family]).get_charmap())
    except (KeyError, OSError, RuntimeError):  # a missing or damaged file draws nothing
        return frozenset()


@functools.cache
def _report(names: tuple[str, ...]) -> None:
    """Report once which names cannot be drawn."""
    if names:
        some = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        logger.warning(
            f"no installed font has all characters of {counted(len(names), 'class name')} ({some}): the plots show "
            f"their numbers, counted from 0. {INSTALL}"
        )


@functools.cache
def _report_text(text: str) -> None:
    """Report once that a text is drawn with question marks."""
    logger.warning(
        f"no installed font has all characters of {printable(text)}: pictures have question marks for them. {INSTALL}"
    )
