"""The list of what must still be done when the process ends in the middle of something, where no `finally` runs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

_at_any_end: list[Callable[[], object]] = []


@contextlib.contextmanager
def at_any_end(function: Callable[[], object]) -> Iterator[None]:
    """Call a function after the block, or when the process ends in its middle."""
    _at_any_end.append(function)
    try:
        yield
    finally:
        _at_any_end.remove(function)
        function()


def clean_up() -> None:
    """Call the functions of `at_any_end`, the last one first: for a process that is about to end."""
    for function in reversed([*_at_any_end]):
        with contextlib.suppress(Exception):
            function()
