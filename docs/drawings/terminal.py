"""A terminal: what a command printed, from a recording that is checked in."""

from pathlib import Path

from svg import Drawing

LINE, LEFT = 18, 16


def draw_terminal(recording: Path) -> str:
    """Draw a recording; its lines that begin with "$ " were typed."""
    lines = recording.read_text().splitlines()
    title = f"A terminal: {lines[0]}, and what it prints"
    drawing = Drawing(LEFT * 2 + round(max(map(len, lines)) * 7.25), LINE * len(lines) + 24, title)
    drawing.box(0.5, 0.5, drawing.width - 1, drawing.height - 1)
    for i, line in enumerate(lines):
        drawing.text(LEFT, 24 + LINE * i, line, "mono prompt" if line.startswith("$ ") else "mono", "start")
    return drawing.to_text()
