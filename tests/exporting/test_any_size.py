"""Files that take images of any size."""

import numpy as np
import pytest

from resnext import Model, evaluate, export
from resnext.errors import ArgumentError

pytestmark = pytest.mark.once


@pytest.mark.parametrize(("name", "package"), [("net.onnx", "onnxruntime"), ("net.xml", "openvino")])
@pytest.mark.parametrize("normalisation", ["inside", "outside"])
def test_a_file_takes_images_of_any_size(trained, colours, tmp_path, name, package, normalisation):
    pytest.importorskip(package)
    export(trained[0], tmp_path / name, size="any", normalisation=normalisation, maps=True)
    assert Model.open(tmp_path / name).file.description.any_size
    for size in (32, 48, 41):
        ours, theirs = (evaluate(model, colours, size=size).losses for model in (trained[0], tmp_path / name))
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
    one = tmp_path / f"one-{name}"
    export(trained[0], one)
    with pytest.raises(ArgumentError, match="the exported file does not compute other sizes"):
        evaluate(one, colours, size=48)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("net.onnx", {"size": "any", "dtype": "int8"}, "--size any is for float32, and --dtype is int8"),
        (
            "net.tflite",
            {"size": "any"},
            "litert files take images of one size. Leave --size out, or export onnx or openvino",
        ),
        ("net.onnx", {"size": "large"}, "`size` must be any, or left out. Received: 'large'"),
    ],
)
def test_other_files_are_of_one_size(trained, tmp_path, name, options, message):
    with pytest.raises(ArgumentError, match=message):
        export(trained[0], tmp_path / name, **options)
    assert [*tmp_path.iterdir()] == []
