"""Networks of one channel: every image is converted to grey inside them."""

import json

import numpy as np
import pytest
from PIL import Image

import resnext
from resnext import Model, evaluate, explain, export, predict, preprocess_input, train
from resnext.errors import ArgumentError
from resnext.images.preprocessing import LUMA, Preprocessing
from support.photos import write_photos

SHADES = {"dark": (60, 20, 20), "mid": (120, 140, 110), "light": (220, 200, 230)}
SMALL = {"variant": "resnext11_4x4d", "image_size": 24, "epochs": 1, "batch_size": 8}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("grey") / "photos"
    for part, count in (("train", 8), ("test", 3)):
        write_photos(folder / part, SHADES, count)
    return folder


@pytest.fixture(scope="module")
def run(photos, tmp_path_factory):
    return train(photos, out=tmp_path_factory.mktemp("grey") / "run", channels="grey", **SMALL).folder


def test_a_grey_network_is_trained_and_used_like_any_other(run, photos, tmp_path):
    document = json.loads((run / "config.json").read_text())
    assert document["preprocessing"]["channels"] == document["recipe"]["channels"] == "grey"
    model = Model.open(run)
    (classifier,) = model.build()
    assert classifier.layers[-1].input_shape == (None, 24, 24, 1)
    files = sorted((photos / "test").glob("*/*.png"))
    rows = [row.classes for row in predict(run, files)]
    grey = [Image.open(file).convert("L") for file in files]  # rounded to whole levels
    for ours, theirs in zip(rows, predict(run, grey), strict=True):
        assert dict(ours) == pytest.approx(dict(theirs.classes), abs=0.02)
    alone = tmp_path / "alone.safetensors"
    alone.write_bytes((run / "best.safetensors").read_bytes())
    assert [row.classes for row in predict(alone, files)] == rows
    assert evaluate(run).top(1) == evaluate(alone, photos).top(1)
    assert next(explain(run, files[0])).map.ndim == 2


@pytest.mark.once
@pytest.mark.parametrize("normalisation", ["inside", "outside"])
def test_an_exported_grey_network_is_the_same(run, photos, tmp_path, normalisation):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    export(run, tmp_path / "net.onnx", normalisation=normalisation)
    shape = onnx.load(tmp_path / "net.onnx").graph.input[0].type.tensor_type.shape
    sides = [side.dim_value for side in shape.dim][1:]
    assert sides == ([24, 24, 3] if normalisation == "inside" else [1, 24, 24])
    assert evaluate(tmp_path / "net.onnx", photos).losses == pytest.approx(evaluate(run).losses, abs=1e-4)


@pytest.mark.once
def test_weights_for_three_channels_are_added_up(photos, tmp_path):
    train(photos, out=tmp_path / "rgb", **SMALL)
    result = train(photos, out=tmp_path / "grey", weights=str(tmp_path / "rgb"), channels="grey", epochs=1)
    assert Model.open(result.folder).preprocessing.channels == "grey"
    train(photos, "resnext14_2x4d", tmp_path / "four", channels="grey", image_size=24, epochs=1)
    with pytest.raises(ArgumentError, match="its images are grey, which timm prepares otherwise"):
        export(tmp_path / "four", tmp_path / "bundle", to="bundle")


@pytest.mark.once
def test_grey_images_are_normalised_by_the_mean_of_the_statistics():
    grey = np.full((1, 4, 4, 1), 255.0)
    mean, std = np.mean((0.485, 0.456, 0.406)), np.mean((0.229, 0.224, 0.225))
    np.testing.assert_allclose(preprocess_input(grey, "channels_last"), (1 - mean) / std)
    assert preprocess_input(np.zeros((1, 1, 4, 4)), "channels_first").shape == (1, 1, 4, 4)
    given = Preprocessing(24, 24, channels="grey")
    assert given.normalised(np.full((2, 4, 4, 3), 255, np.uint8))[0, 0, 0] == pytest.approx((1 - mean) / std, abs=1e-5)
    assert Preprocessing.from_json(given.to_json()) == given
    assert "channels" not in Preprocessing(24, 24).to_json()
    assert sum(LUMA) == pytest.approx(1)
    for images, channels, message in (
        (np.zeros((1, 4, 4, 2)), "rgb", "`images` must have 1 or 3 channels, channels_last. Received: shape"),
        (np.zeros((1, 4, 4, 3)), "grey", "`images` must have 1 channel, channels_last"),
    ):
        with pytest.raises(ArgumentError, match=message):
            preprocess_input(images, "channels_last", Preprocessing(4, 4, channels=channels))
    with pytest.raises(ArgumentError, match=r"`channels` must be rgb \(3\), grey \(1\), .* Received: 'red'"):
        Preprocessing(4, 4, channels="red")
    network = resnext.ResNeXt("resnext11_4x4d", classes=3, input_shape=(24, 24, 1))
    assert network(preprocess_input(np.zeros((1, 24, 24, 1), "float32"), "channels_last")).shape == (1, 3)
