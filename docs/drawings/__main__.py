"""Draw the pictures of the pages: `python docs/drawings`."""

from pathlib import Path

from forms import draw_blocks, draw_forms
from speed import draw_speed
from stages import draw_network
from terminal import draw_terminal

HERE = Path(__file__).parent
DRAWINGS = {
    "forms.svg": draw_forms,
    "blocks.svg": draw_blocks,
    "resnext50.svg": lambda: draw_network("resnext50_32x4d"),
    "speed.svg": draw_speed,
    "train.svg": lambda: draw_terminal(HERE / "train.txt"),
}

if __name__ == "__main__":
    for name, draw in DRAWINGS.items():
        (HERE.parent / name).write_text(draw())
