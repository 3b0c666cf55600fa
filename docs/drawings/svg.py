"""Drawings in SVG: boxes, lines and words in the colours of the reader's theme, light, dark or on paper."""

from collections.abc import Sequence
from xml.sax.saxutils import escape

STYLE = """
svg { color-scheme: light dark; --ink: #1f2328; --soft: #59636e; --fill: #eef1f4; --line: #818b98; --own: #0a58ca;
  --tint: #dbe9ff; --paper: #ffffff; }
@media screen and (prefers-color-scheme: dark) { svg { --ink: #f0f6fc; --soft: #9198a1; --fill: #212830;
  --line: #656c76; --own: #79b8ff; --tint: #173253; --paper: #0d1117; } }
text { font-family: system-ui, -apple-system, "Segoe UI", sans-serif; font-size: 13px; fill: var(--ink); }
.paper { fill: var(--paper); }
.title { font-weight: 600; font-size: 14px; }
.equal { font-weight: 600; font-size: 20px; fill: var(--own); }
.small { font-size: 12px; fill: var(--soft); }
.word { font-size: 13px; font-style: italic; fill: var(--soft); }
.own { fill: var(--own); font-weight: 600; }
.shape { font-size: 12px; fill: var(--soft); stroke: var(--paper); stroke-width: 4px; paint-order: stroke; }
.number { stroke: var(--paper); stroke-width: 4px; paint-order: stroke; }
.mono { font-family: ui-monospace, "SFMono-Regular", Menlo, Consolas, monospace; font-size: 12px; white-space: pre; }
.prompt { font-weight: 600; }
.box { fill: var(--fill); stroke: var(--line); }
.box-own { fill: var(--tint); stroke: var(--own); stroke-width: 1.5; }
.line { fill: none; stroke: var(--line); }
.line-own { fill: none; stroke: var(--own); stroke-width: 1.5; }
.dot { fill: var(--soft); }
.dot-own { fill: var(--own); }
.dash { fill: none; stroke: var(--line); stroke-dasharray: 4 3; }
""".strip()
Point = tuple[float, float]


class Drawing:
    """A drawing under construction.

    Args:
        width, height: in pixels.
        title: what one sees, for those who do not.
    """

    def __init__(self, width: int, height: int, title: str):
        self.width, self.height, self.title, self.items = width, height, title, []
        self.items.append(f'<rect class="paper" width="{width}" height="{height}"/>')

    def box(self, x: float, y: float, width: float, height: float, words: str = "", kind: str = "box") -> None:
        place = f'x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"'
        self.items.append(f'<rect class="{kind}" {place} rx="4"/>')
        lines = words.split("\n") if words else []
        for i, line in enumerate(lines):
            self.text(x + width / 2, y + height / 2 + 4.5 + 15 * (i - (len(lines) - 1) / 2), line)

    def circle(self, x: float, y: float, words: str, kind: str = "box") -> None:
        self.items.append(f'<circle class="{kind}" cx="{x:g}" cy="{y:g}" r="10"/>')
        self.text(x, y + 4.5, words)

    def dot(self, x: float, y: float, kind: str = "dot") -> None:
        self.items.append(f'<circle class="{kind}" cx="{x:g}" cy="{y:g}" r="4.5"/>')

    def line(self, points: Sequence[Point], kind: str = "line") -> None:
        self.items.append(f'<polyline class="{kind}" points="{" ".join(f"{x:g},{y:g}" for x, y in points)}"/>')

    def text(self, x: float, y: float, words: str, kind: str = "", anchor: str = "middle") -> None:
        name = f' class="{kind}"' if kind else ""
        self.items.append(f'<text{name} x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(words)}</text>')

    def to_text(self) -> str:
        """Return the file."""
        size = f'viewBox="0 0 {self.width} {self.height}" width="{self.width}" height="{self.height}"'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
        lines = [head, f"<title>{escape(self.title)}</title>", f"<style>\n{STYLE}\n</style>", *self.items, "</svg>"]
        return "\n".join(lines) + "\n"
