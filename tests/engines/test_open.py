"""Engines by name: the same answers from each, and the fastest for many images."""

import importlib.util

import numpy as np
import pytest

from resnext import Model, evaluate
from resnext.errors import ArgumentError
from resnext.inference.options import EvaluationOptions
from support.command import refusal, resnext

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def test_every_engine_gives_the_same_answers(trained, colours, tmp_path):
    """Keras, ONNX Runtime and OpenVINO, for a run and at another size of its images."""
    folder, _ = trained
    expected = {size: evaluate(folder, colours, options=EvaluationOptions(size=size)) for size in ((), (48,))}
    for engine in ("onnxruntime", "openvino"):
        pytest.importorskip(engine)
        for size, by_keras in expected.items():
            given = evaluate(folder, colours, options=EvaluationOptions(size=size, engine=engine))
            np.testing.assert_allclose(given.losses, by_keras.losses, rtol=1e-4, atol=1e-4)
        process = resnext("predict", folder, colours / "test", "--engine", engine, "--top", 1)
        assert f"images/s ({engine})" in process.stderr
        assert process.stdout.count(" red\n") == 4
    if importlib.util.find_spec("openvino"):
        given = evaluate(folder, colours, options=EvaluationOptions(engine="openvino-bfloat16"))
        np.testing.assert_allclose(given.losses, expected[()].losses, atol=0.1)
    message = "embeddings are computed by Keras, not by onnxruntime. Leave --engine out."
    arguments = ("--engine", "onnxruntime", "--embeddings", tmp_path / "x.npy")
    assert refusal(resnext("predict", folder, colours, *arguments)) == message


@pytest.mark.once
def test_many_images_are_computed_by_the_fastest_engine_that_is_installed(trained, exported, monkeypatch):
    model = Model.open(trained[0])
    cases = [("onnx onnxruntime openvino", "openvino"), ("onnx onnxruntime", "onnxruntime"), ("openvino", "keras")]
    for words, expected in (*cases, ("", "keras")):
        installed = words.split()
        monkeypatch.setattr("importlib.util.find_spec", lambda name, installed=installed: name in installed or None)
        assert model.with_engine(None, images=500).engine_name == model.with_engine(None).engine_name == expected
        assert model.with_engine(None, images=499).engine_name == "keras"
        if not installed:
            with pytest.raises(ImportError, match=r"^--engine openvino needs the package openvino: pip install 'res"):
                model.with_engine("openvino")
    monkeypatch.undo()
    with pytest.raises(
        ArgumentError, match=r"`engine` must be one of openvino, onnxruntime, keras, openvino-bf.*\. Rec.*'tpu'"
    ):
        model.with_engine("tpu")
    with pytest.raises(ArgumentError, match=r"an exported file runs in its own runtime\. Leave --engine out\."):
        Model.open(exported[0]).with_engine("keras")
