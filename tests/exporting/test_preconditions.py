"""What an export refuses before it computes: backends, packages, places and names."""

import re
import shutil

import pytest

from resnext import export
from resnext.errors import ArgumentError
from resnext.exporting.options import ExportOptions
from support.exports import NAMES
from support.runs import change_config

pytest.importorskip("onnx")


@pytest.mark.once
def test_another_backend_or_a_missing_package_is_refused(trained, tmp_path, monkeypatch):
    pytest.importorskip("torch")
    with pytest.raises(
        ArgumentError, match=r"^torch is written by torch, and Keras computes with tensorflow here\. Use"
    ):
        export(trained[0], tmp_path / "a.pt2")
    for format, package, extra in (("litert", "ai_edge_litert", "litert"), ("torch", "torch", "torch")):
        with monkeypatch.context() as patch:
            patch.setattr("importlib.util.find_spec", lambda name, package=package: None if name == package else True)
            words = f"export to {format} needs the package {package.replace('_', '-')}: pip install 'resnext[{extra}]'"
            with pytest.raises(ImportError, match=re.escape(words)):
                export(trained[0], tmp_path / NAMES[format])
    assert list(tmp_path.iterdir()) == []


def with_config(trained, folder, **changes):
    """A copy of the run with another configuration."""
    shutil.copytree(trained[0], folder)
    change_config(folder, **changes)
    return folder


@pytest.mark.once
def test_what_would_be_wrong_later_is_refused_at_once(trained, colours, tmp_path):
    lines = with_config(trained, tmp_path / "lines", classes=["a\nb", "green", "red"])
    with pytest.raises(ArgumentError, match=r"^the class 'a\\nb' has more than one line, and labels\.txt has a class"):
        export(lines, tmp_path / "a.onnx")
    (tmp_path / "p.bin").write_bytes(b"something else")
    with pytest.raises(
        ArgumentError, match=r"p\.bin: would be overwritten, but belongs to something else\. Choose another"
    ):
        export(trained[0], tmp_path / "p.xml")
    with pytest.raises(ArgumentError, match=r"^`out` is empty\. Pass a file to write, such as network\.onnx"):
        export(trained[0], "")
    with pytest.raises(ArgumentError, match=r"^labelled images are for --dtype float16 and int8\. To compare on"):
        export(trained[0], tmp_path / "a.onnx", data=colours)
    for useless in ({"calibration": "entropy"}, {"keep_ends": True, "dtype": "float16"}):
        with pytest.raises(ArgumentError, match=r"^--calibration and --keep-ends are for --dtype int8\. Leave them"):
            ExportOptions(**useless)
    gone = with_config(trained, tmp_path / "gone", data=str(tmp_path / "nowhere"))
    with pytest.raises(ArgumentError, match=r"The run was trained on it; pass labelled images: --data DATA$"):
        export(gone, tmp_path / "a.onnx", options=ExportOptions(dtype="float16"))
    done = export(gone, tmp_path / "a.onnx")
    assert done.source == f"random colours, because the run's {tmp_path / 'nowhere'} can't be read"
    with pytest.raises(
        ArgumentError, match=r"a\.onnx: is exported already\. Pass the model that it was exported from\."
    ):
        export(tmp_path / "a.onnx", tmp_path / "b.onnx")
    assert not (tmp_path / "b.onnx").exists()
