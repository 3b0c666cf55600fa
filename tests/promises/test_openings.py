"""A command looks at its data once: an archive of 2 GB is decompressed once, and a table parsed once."""

import dataclasses
import shutil

import pytest

import resnext
from resnext.cli import inference
from resnext.data import source
from support.photos import COLOURS, write_photos

pytestmark = pytest.mark.once


@pytest.fixture
def opened(monkeypatch):
    """The names of the functions that look at data, once for each call."""
    calls = []

    def counted(name):
        function = getattr(source, name)
        monkeypatch.setattr(source, name, lambda *arguments: (calls.append(name), function(*arguments))[1])

    for name in ("read_archive", "layout_of", "read_table"):
        counted(name)
    return calls


def test_every_command_opens_an_archive_once(opened, tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    photos = write_photos(tmp_path / "photos", COLOURS, 8)
    archive = shutil.make_archive(str(tmp_path / "photos"), "gztar", photos)
    recipe = dataclasses.replace(resnext.get_recipe("smoke"), image_size=16)
    run = resnext.train(archive, "resnext14_4x4d", tmp_path / "run", recipe=recipe).folder
    once = ["read_archive", "layout_of"]
    assert opened == once
    for command in (
        lambda: resnext.evaluate(run, archive),
        lambda: inference.evaluate(str(run), archive, against=str(shutil.copytree(run, tmp_path / "other"))),
        lambda: resnext.export(run, tmp_path / "int8.onnx", dtype="int8", max_drop=1),
        lambda: resnext.export(run, tmp_path / "bundle", to="bundle"),
        lambda: resnext.check_data(archive),
        lambda: resnext.preview(archive, tmp_path / "sheet.png", recipe=recipe),
    ):
        opened.clear()
        command()
        assert opened == once


def test_a_table_is_parsed_once(opened, tmp_path):
    photos = write_photos(tmp_path / "photos", {"a": (200, 40, 40)}, 8)
    lines = [f"a/00{i}.png,{'even' if i % 2 == 0 else 'odd'}" for i in range(8)]
    (photos / "labels.csv").write_text("\n".join(["file,label", *lines]) + "\n")
    data = source.open_data(photos / "labels.csv")
    splits = data.splits()
    data.left_out(), data.examples(("even", "odd")), data.held_out(splits.held_out, ("even", "odd"))
    assert opened == ["layout_of", "read_table"]
