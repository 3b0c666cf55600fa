"""A repository for Triton."""

import numpy as np
import pytest

from resnext import Model, evaluate, export
from resnext.errors import ArgumentError
from resnext.exporting.options import ExportOptions

pytest.importorskip("onnx")


@pytest.mark.once
def test_a_repository_for_triton(trained, colours, tmp_path):
    """The configuration was also read by Triton's own `ModelConfig` (docs/decisions.md)."""
    export(trained[0], tmp_path / "models", to="triton", options=ExportOptions(maps=True))
    folder = tmp_path / "models" / "colours"
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == {
        "config.pbtxt", "labels.txt", "1/model.onnx"}  # fmt: skip
    assert "".join((folder / "config.pbtxt").read_text().split()) == (
        'name:"colours"backend:"onnxruntime"max_batch_size:64'
        'input[{name:"images"data_type:TYPE_UINT8dims:[32,32,3]}]'
        'output[{name:"probabilities"data_type:TYPE_FP32dims:[3]label_filename:"labels.txt"}]'
        'output[{name:"maps"data_type:TYPE_FP32dims:[3,-1,-1]}]'
        "dynamic_batching{}"
    )
    given = evaluate(folder / "1" / "model.onnx", colours / "test").losses
    np.testing.assert_allclose(given, evaluate(trained[0], colours).losses, atol=1e-4)
    with pytest.raises(ArgumentError, match=r"models: exists already\. Pass a new folder\."):
        export(trained[0], tmp_path / "models", to="triton")


@pytest.mark.once
def test_a_repository_is_named_after_the_run_wherever_the_command_is_typed(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(trained[0])
    export(".", tmp_path / "models", to="triton")
    assert (tmp_path / "models" / "colours" / "1" / "model.onnx").is_file()
    message = r"models: a model repository\. Pass the network in it: .*models/colours/1/model\.onnx$"
    with pytest.raises(ArgumentError, match=message):
        Model.open(tmp_path / "models")
