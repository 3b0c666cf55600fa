"""ONNX Runtime as an engine: an exported file is a model; damaged and foreign ones are refused."""

import json

import numpy as np
import pytest

from resnext import Model, evaluate
from resnext.errors import WeightsError
from resnext.images.preprocessing import Preprocessing
from resnext.inference.options import EvaluationOptions
from support.command import refusal, resnext

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def test_file_is_a_model_for_evaluate_and_predict(trained, colours, exported):
    path, _ = exported
    one, other = evaluate(trained[0], colours), evaluate(path, colours / "test")
    np.testing.assert_allclose(other.losses, one.losses, atol=1e-4)
    assert (other.predicted == one.predicted).all()
    process = resnext("predict", path, colours / "test" / "red", "--top", 1)
    assert process.stdout.count(" red\n") == 4
    message = "the exported file does not compute embeddings. Pass the model it was exported from."
    assert message in refusal(resnext("predict", path, colours, "--embeddings", path.with_name("x.npy")))
    assert "the exported file does not compute other sizes. Pass the model it was exported from." in refusal(
        resnext("evaluate", path, colours / "test", "--size", 64)
    )
    twice = evaluate(path, colours / "test", options=EvaluationOptions(size=(32, 32)))
    np.testing.assert_allclose(twice.losses, other.losses, atol=1e-6)
    assert "the exported file does not compute other sizes. Pass the model it was exported from." in refusal(
        resnext("evaluate", path, colours / "test", "--size", 32, 64)
    )


@pytest.mark.once
def test_damaged_and_foreign_files_are_refused(exported, tmp_path):
    path, _ = exported
    content = path.read_bytes()
    for name, damaged in (("half", content[: len(content) // 2]), ("empty", b""), ("text", b"not a network")):
        file = tmp_path / f"{name}.onnx"
        file.write_bytes(damaged)
        with pytest.raises(WeightsError, match=r"ONNX Runtime can't open it .*\. Export it again\."):
            Model.open(file)

    def saved(**changes):
        model = onnx.load(path)
        kept = {entry.key: changes.get(entry.key, entry.value) for entry in model.metadata_props}
        if not changes.pop("checked", False):
            del kept["description_sha256"]  # as in earlier versions
        del model.metadata_props[:]
        onnx.helper.set_model_props(model, {} if changes == {"all": None} else kept)
        onnx.save(model, tmp_path / "other.onnx")
        return tmp_path / "other.onnx"

    for damage in ({"classes": '["a", "a"]'}, {"classes": "3"}, {"input": '"int4"'}, {"variant": "{}"}):
        with pytest.raises(WeightsError, match="its description is damaged"):
            Model.open(saved(**damage))
    with pytest.raises(WeightsError, match=r"its description is damaged \(it is damaged, or was changed by another"):
        Model.open(saved(checked=True, classes='["blue", "grey", "red"]'))
    for other in ({"preprocessing": json.dumps(Preprocessing(48, 48).to_json())}, {"classes": '["a", "b"]'}):
        with pytest.raises(WeightsError, match=r"its network takes images \[32, 32, 3\] and returns \[3\] prob"):
            Model.open(saved(**other))
    with pytest.raises(WeightsError, match=r"was not exported by resnext \(it has no input\)"):
        Model.open(saved(all=None))
    missing = refusal(resnext("predict", tmp_path / "no.onnx", "x.png"))
    assert "no such model" in missing
