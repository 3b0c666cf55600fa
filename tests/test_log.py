"""What resnext reports of its work, and how a Python program silences, redirects and counts it."""

import builtins
import dataclasses
import logging
import re
import sys
from types import SimpleNamespace

import pytest

from resnext import check_data, get_recipe, train
from resnext.log import Fallback, logger
from resnext.training.progress import TrainingProgress
from support.photos import COLOURS, write_photos

pytestmark = pytest.mark.once


@pytest.fixture
def photos(tmp_path):
    return write_photos(tmp_path / "photos", COLOURS, 8)


@pytest.fixture
def levels():
    yield
    logger.setLevel(logging.INFO)


def configure_nothing(monkeypatch):
    """Logging as a program has it that configures none: pytest has handlers while a test runs."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    monkeypatch.setattr(logging.getLogger("tensorflow"), "disabled", True)  # it counts the functions of other tests
    assert [type(handler) for handler in logger.handlers] == [Fallback]


def run(photos, folder):
    recipe = dataclasses.replace(get_recipe("smoke"), image_size=8, epochs=2)
    return train(photos, "resnext14_2x4d", folder, recipe=recipe)


def test_a_training_is_shown_unless_it_is_to_be_quiet(levels, photos, tmp_path, monkeypatch, capsys):
    configure_nothing(monkeypatch)
    run(photos, tmp_path / "shown")
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[0] for line in lines if not line.startswith("resnext: ")] == [
        "labels:", "classes:", "always", "device:", "data:", "network:", "recipe", "steps:", "images", "epoch", "epoch",
    ]  # fmt: skip
    warnings = [line for line in lines if line.startswith("resnext: ")]
    assert [warning[:21] for warning in warnings] == ["resnext: few images: "] * 2
    logger.setLevel(logging.WARNING)
    run(photos, tmp_path / "warnings")
    assert capsys.readouterr().err.splitlines() == warnings
    logger.setLevel(logging.ERROR)
    run(photos, tmp_path / "silent")
    assert capsys.readouterr() == ("", "")


def test_lines_go_where_the_program_sends_them(photos, monkeypatch, capsys):
    configure_nothing(monkeypatch)
    records = []
    handler = logging.Handler()
    handler.emit = records.append
    for place in (logging.getLogger(), logger):
        place.addHandler(handler)
        check_data(photos)
        place.removeHandler(handler)
        assert [record.getMessage() for record in records] == [
            "train: 21 images read", "validation and test: 3 images read",
        ]  # fmt: skip
        assert {(record.name, record.levelname) for record in records} == {("resnext.data.check", "INFO")}
        assert capsys.readouterr().err == ""
        records.clear()


def test_a_check_tells_how_many_images_are_read(photos):
    calls = []
    check_data(photos, done=lambda *numbers: calls.append(numbers))
    assert calls == [(i, 24) for i in range(1, 25)]


def test_a_notebook_has_one_line_that_is_written_again(levels, monkeypatch, caplog):
    shown = []

    class Output:
        def update(self, content, raw):
            shown[-1] += [content["text/plain"]]

    def display(content, raw, display_id):
        shown.append([content["text/plain"]])
        return Output()

    def epoch():
        progress = TrainingProgress(8, steps=4, epochs=1, done=0, is_shown=True)
        progress.on_epoch_begin(0)
        for batch in range(4):
            progress.on_train_batch_end(batch, {"loss": 1.5, "accuracy": 0.25})
        progress.close()

    monkeypatch.setattr(builtins, "get_ipython", type("ZMQInteractiveShell", (), {}), raising=False)
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=display))
    monkeypatch.setattr("resnext.training.progress.REDRAWN_EVERY", 0)
    epoch()
    (line,) = shown
    assert (line[0], line[-1], len(line)) == ("", "", 6)
    assert re.fullmatch(r"epoch 1 █{7}░{23} 1/4 steps  loss 1.500  train 25.00 %  [\d.]+ images/s", line[1])
    logger.setLevel(logging.WARNING)
    epoch()
    assert len(shown) == 1
