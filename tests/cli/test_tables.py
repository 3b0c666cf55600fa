"""Tables on a terminal: nothing is cut."""

import contextlib
import os

import pytest

from support.command import interpreter


@pytest.mark.once
@pytest.mark.parametrize("width", [50, 80])
def test_a_narrow_terminal_cuts_nothing(width):
    """A tag is there to be copied."""
    shown = on_a_terminal("list", "--weights", "resnext50*", width=width)
    (line,) = [line for line in shown.splitlines() if "resnext50_32x4d.fb_ssl_yfcc100m_ft_in1k" in line]
    assert line.split()[-1] == "cc-by-nc-4.0"
    assert "…" not in shown


def on_a_terminal(*arguments, width: int) -> str:
    """What a command prints to a terminal of a width."""
    reads, terminal = os.openpty()
    environment = {**os.environ, "COLUMNS": str(width)}
    with interpreter(*arguments, stdout=terminal, stderr=terminal, env=environment):
        os.close(terminal)
        pieces = []
        with contextlib.suppress(OSError):  # at the end
            while piece := os.read(reads, 65536):
                pieces.append(piece)
    os.close(reads)
    return b"".join(pieces).decode()
