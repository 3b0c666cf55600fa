"""The log of a training: plain lines that say where a long epoch is."""

import io
import re

import pytest
from rich.console import Console

from resnext.training.progress import _TerminalBar
from support.command import resnext
from support.photos import COLOURS, write_photos

pytestmark = pytest.mark.once


def test_a_log_has_plain_lines_and_says_where_a_long_epoch_is(tmp_path):
    photos = write_photos(tmp_path / "photos", COLOURS, 8)
    arguments = ["train", photos, "--variant", "resnext14_2x4d", "--recipe", "smoke", "--image-size", "16"]
    settings = {"env": {"FORCE_COLOR": ""}, "constants": {"resnext.training.progress:LINE_EVERY": 0}}
    process = resnext(*arguments, "--out", tmp_path / "run", **settings)
    assert process.returncode == 0, process.stderr
    step = r"epoch 1/1  step \d/2  loss [\d.]+  train [\d.]+ %  [\d.]+ images/s"
    assert len(re.findall(rf"^{step}$", process.stderr, re.M)) == 2
    epoch = r"epoch 1/1  loss [\d.]+  train [\d.]+ %  validation [\d.]+ %  [\d.]+ images/s  0:00:00 left"
    assert re.search(rf"^{epoch}$", process.stderr, re.M), process.stderr
    assert "\x1b" not in process.stderr


@pytest.mark.once
@pytest.mark.parametrize(("width", "has_bar"), [(80, False), (120, True)])
def test_a_narrow_terminal_keeps_the_numbers_and_drops_the_bar(width, has_bar):
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=width, soft_wrap=True)
    bar = _TerminalBar(console, 5_000, 1_233)
    bar.show(1_234, "epoch 12", "loss 0.123  train 92.31 %  123.4 images/s")
    bar.progress.refresh()
    shown = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", text.getvalue())
    bar.close()
    assert "1234/5000 steps loss 0.123  train 92.31 %  123.4 images/s" in shown
    assert "…" not in shown
    assert ("━" in shown) == has_bar
