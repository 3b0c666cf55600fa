"""Which paths of a block answer, against form a of the block."""

import csv

import keras
import numpy as np
import pytest
from PIL import Image

from resnext import ResNeXt, save_weights, to_form
from resnext.errors import ArgumentError
from resnext.images.preprocessing import Preprocessing
from resnext.inference.path_strengths import path_strengths
from support.command import refusal, resnext
from support.photos import write_photos

pytestmark = pytest.mark.once


@pytest.mark.parametrize("variant", ["resnext14_2x4d", "seresnext14_2x4d"])
def test_strength_of_a_path_is_that_of_its_term_in_form_a(variant, tmp_path):
    network = ResNeXt(variant, input_shape=(48, 48, 3), classes=2, classifier_activation=None)
    rng = np.random.default_rng(0)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in layer.get_weights()])
    network.preprocessing, network.class_names = Preprocessing(48, 48), ["a", "b"]
    save_weights(network, tmp_path / "network.safetensors")
    write_photos(tmp_path / "photos", {"a": (200, 30, 30), "b": (20, 90, 200)}, 2, size=48)
    found = path_strengths(tmp_path / "network.safetensors", tmp_path / "photos", block="stage4_block1")
    assert (found.classes, found.images.tolist(), found.strengths.shape) == (("a", "b"), [2, 2], (2, 2))

    form_a = to_form(network, "a")
    layers = [f"stage4_block1_path{path}_transition_conv" for path in (1, 2)]
    tensors = [form_a.get_layer(name).output for name in layers]
    if variant.startswith("se"):
        tensors.append(form_a.get_layer("stage4_block1_excitation_sigmoid").output)
    gamma, _, _, variance = form_a.get_layer("stage4_block1_transition_norm").get_weights()
    scale = gamma / np.sqrt(variance + 1e-5)
    images = np.stack([Preprocessing(48, 48).load(path) for path in sorted((tmp_path / "photos").glob("*/*.png"))])
    normalised = (images / 255 - Preprocessing(48, 48).mean) / Preprocessing(48, 48).std
    one, other, *attention = keras.Model(form_a.input, tensors).predict_on_batch(normalised.astype(np.float32))
    for path, term in enumerate((one, other)):
        term = term * scale * (attention[0] if attention else 1)
        expected = np.sqrt((term**2).mean(axis=(1, 2, 3))).reshape(2, 2).mean(axis=1)
        np.testing.assert_allclose(found.strengths[:, path], expected, rtol=1e-3)


def test_paths_are_drawn_and_counted(trained, colours, tmp_path):
    folder, _ = trained
    process = resnext("explain", folder, colours, "--paths", "--out", tmp_path / "out")
    assert process.returncode == 0, process.stderr
    assert [line.split(":")[0] for line in process.stdout.splitlines()] == ["blue", "green", "red"]
    assert "times its mean" in process.stdout
    with (tmp_path / "out" / "paths.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["class"], row["images"]) for row in rows] == [("blue", "4"), ("green", "4"), ("red", "4")]
    assert {*rows[0]} == {"class", "images", "path_1", "path_2"}
    with Image.open(tmp_path / "out" / "paths.png") as picture:
        assert min(picture.size) > 300
    with pytest.raises(ArgumentError, match=r"has no block 'stage5_block9'. Its blocks are stage2_block1, "):
        path_strengths(folder, colours, block="stage5_block9")
    assert refusal(resnext("explain", folder, colours, colours, "--paths", "--out", tmp_path / "more")) == (
        "--paths needs one DATA of labelled images. Received: 2"
    )
    save_weights(ResNeXt("resnet20", classes=3), tmp_path / "plain.safetensors")
    with pytest.raises(ArgumentError, match=r"resnet20: its blocks have one path\. Pass a network of a higher card"):
        path_strengths(tmp_path / "plain.safetensors", colours)
