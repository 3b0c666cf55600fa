"""An export is whole or not there: what computes something else, is interrupted or killed, or has no place."""

import signal
import time

import pytest

from resnext import export
from resnext.errors import ArgumentError, ExportError
from resnext.exporting.options import ExportOptions
from support.command import Command, refusal, resnext

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from resnext.engines.onnx_graph import Graph


@pytest.mark.once
def test_a_file_that_computes_something_else_is_not_kept(trained, tmp_path, monkeypatch):
    """What was there before stays, and nothing is left of the other."""
    path = tmp_path / "a.onnx"
    path.write_bytes(b"what was there before")
    original = Graph.weight

    def damaged(self, values, name):
        return original(self, -values if name == "predictions/kernel" else values, name)

    monkeypatch.setattr(Graph, "weight", damaged)
    with pytest.raises(ExportError, match=r"its probabilities differ from the network's by up to .*; it was not kept"):
        export(trained[0], path)
    assert path.read_bytes() == b"what was there before"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.onnx"]


@pytest.mark.once
@pytest.mark.parametrize(("fault", "status"), [("SIGTERM", 143), ("SIGINT", 130), ("deaf", 143)])
def test_an_interrupted_export_leaves_nothing(trained, tmp_path, fault, status):
    """Also where a signal comes while compiled code runs, and Python's own cleaning up does not."""
    place = "resnext.exporting.export:largest_difference"
    command = Command("export", trained[0], "--out", tmp_path / "a.onnx", fault=(place, 1, fault))
    if fault == "deaf":
        while not list(tmp_path.glob(".a.onnx.*/a.onnx")):
            time.sleep(0.05)
        command.send_signal(signal.SIGTERM)
    process = command.wait()
    assert process.returncode == status, process.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.once
def test_what_a_killed_export_left_is_removed_by_the_next(trained, tmp_path):
    (tmp_path / ".a.onnx.999999999").mkdir()
    (tmp_path / ".a.onnx.999999999" / "a.onnx").write_bytes(b"half")
    (tmp_path / ".a.onnx.old").mkdir()
    export(trained[0], tmp_path / "a.onnx")
    assert {entry.name for entry in tmp_path.iterdir()} == {"a.onnx", "labels.txt", ".a.onnx.old"}


@pytest.mark.once
def test_places_that_cannot_be_written_are_refused(trained, tmp_path):
    folder, _ = trained
    assert refusal(resnext("export", folder, "--out", tmp_path / "a.pb")) == (
        f"{tmp_path / 'a.pb'}: the suffix names no format. Use .onnx, .xml, .tflite, .pt2, or pass --to for a folder."
    )
    with pytest.raises(ArgumentError, match=r"a\.pb: onnx files end in \.onnx\. Choose such a name\."):
        export(folder, tmp_path / "a.pb", to="onnx")
    with pytest.raises(ArgumentError, match=r"its folder does not exist\. Pass a file in an existing folder\."):
        export(folder, tmp_path / "no" / "a.onnx")
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    with pytest.raises(ArgumentError, match=r"labels\.txt: belongs to a network of other classes\. Choose another"):
        export(folder, tmp_path / "a.onnx")
    with pytest.raises(ArgumentError, match=r"`normalisation` must be one of inside, outside\. Received: 'both'"):
        ExportOptions(normalisation="both")
    with pytest.raises(ArgumentError, match=r"no image to compare on can be read\. Pass others\."):
        export(folder, tmp_path.parent / "b.onnx", images=tmp_path)
