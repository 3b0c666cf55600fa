"""Clean-up that must run even if the process ends where no `finally` block does."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

_at_any_end: list[Callable[[], object]] = []


@contextlib.contextmanager
def at_any_end(function: Callable[[], object]) -> Iterator[None]:
    """Call a function after the block, or when the process ends inside it."""
    _at_any_end.append(function)
    try:
        yield
    finally:
        _at_any_end.remove(function)
        function()


def clean_up() -> None:
    """Call the functions registered by `at_any_end`, the newest first; for a process that is about to end."""
    for function in reversed([*_at_any_end]):
        with contextlib.suppress(Exception):
            function()
