"""The log of a training: plain lines that say where a long epoch is."""

import re

import pytest

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
