"""Where a network looks, and which of its paths answer: against gradients in PyTorch and form a of the block."""

import csv

import keras
import numpy as np
import pytest
from conftest import refusal, resnext, write_photos
from PIL import Image

from resnext import ResNeXt, explain, predict, save_weights, to_form
from resnext.errors import ArgumentError
from resnext.images.preprocessing import Preprocessing
from resnext.inference.explanation_files import overlay
from resnext.inference.model import Model
from resnext.inference.options import PredictionOptions
from resnext.inference.path_strengths import path_strengths
from resnext.model.classifier import head_weights

pytestmark = pytest.mark.once


def test_map_is_grad_cam_taken_in_pytorch(trained, colours):
    """Selvaraju et al. 2017, equations 1 and 2: without its ReLU and times the positions, Grad-CAM is the map."""
    torch = pytest.importorskip("torch")
    folder, _ = trained
    model, image = Model.open(folder), colours / "test" / "red" / "000.png"
    (engine,) = model.engines([Preprocessing(96, 96)], outputs=("logits", "maps"))
    outputs, network = engine.outputs(Preprocessing(96, 96).load(image)[None]), engine.classifier
    logits, features = outputs.logits, outputs.features
    kernel, bias = map(torch.from_numpy, head_weights(network))
    maps = torch.from_numpy(features).requires_grad_()
    scores = maps.mean(dim=(1, 2)) @ kernel + bias
    np.testing.assert_allclose(scores.detach().numpy(), logits, atol=1e-4)
    for label in range(3):
        (gradient,) = torch.autograd.grad(scores[0, label], maps, retain_graph=True)
        grad_cam = (gradient.mean(dim=(1, 2))[0] * maps.detach()[0]).sum(dim=-1).numpy()
        expected = outputs.activation_map(0, label) / 9
        assert features.shape[1:3] == (3, 3)
        np.testing.assert_allclose(grad_cam, expected, atol=1e-5)


def test_mean_of_the_map_and_the_bias_are_the_logit(trained, colours):
    folder, _ = trained
    images = sorted((colours / "test").glob("*/*.png"))
    (engine,) = Model.open(folder).engines()
    _, bias = head_weights(engine.classifier)
    logits = engine.outputs(np.stack([Model.open(folder).preprocessing.load(image) for image in images])).logits
    for label, name in enumerate(("blue", "green", "red")):
        maps = [each.map.mean() for each in explain(folder, images, class_name=name)]
        np.testing.assert_allclose(np.array(maps) + bias[label], logits[:, label], rtol=1e-4, atol=1e-4)
    predictions = predict(folder, images, options=PredictionOptions(top=1))
    for each, prediction in zip(explain(folder, images), predictions, strict=True):
        assert (each.image, each.name) == (prediction.image, prediction.answer)
        assert each.probability == pytest.approx(prediction.classes[0][1], abs=1e-4)


@pytest.mark.parametrize(("fit", "lit", "dim"), [("crop", 200, 20), ("squash", 290, None), ("pad", 290, None)])
def test_map_lies_over_the_part_of_the_photo_that_the_network_saw(fit, lit, dim):
    photo = np.full((100, 300, 3), 200, np.uint8)
    activation = np.zeros((4, 4), np.float32)
    activation[:, 3] = 1.0  # the right end of what was seen
    seen = overlay(photo, activation, Preprocessing(64, 64, fit=fit)).astype(int)
    assert seen.shape == photo.shape
    changed = np.abs(seen - 200).sum(axis=(0, 2))
    assert changed[lit] > changed[150]
    assert changed[145] == 0
    if dim is not None:
        assert (seen[:, dim] == 80).all()


def test_pictures_sheets_and_maps_are_written(trained, colours, tmp_path):
    folder, _ = trained
    write_photos(tmp_path / "photos", {"a": (200, 30, 30)}, 26)
    (tmp_path / "photos" / "a" / "b.png").write_text("not an image")
    process = resnext("explain", folder, tmp_path / "photos", "--out", tmp_path / "out", "--raw", "--class", "red")
    assert process.returncode == 1
    assert process.stderr.splitlines()[-1] == "resnext: 1 of 27 images can't be read; its row says why"
    assert "b.png  error: not a JPEG" in process.stdout
    out = tmp_path / "out"
    assert [path.name for path in sorted(out.glob("sheet-*.png"))] == ["sheet-001.png", "sheet-002.png"]
    with (out / "explanations.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 27
    assert {row["class"] for row in rows} == {"red", ""}
    with Image.open(out / rows[0]["picture"]) as picture:
        assert picture.size == (24, 24)
    assert np.load((out / rows[0]["picture"]).with_suffix(".npy")).shape == (1, 1)
    assert "holds other files" in refusal(resnext("explain", folder, tmp_path / "photos", "--out", out))
    assert refusal(resnext("explain", folder, tmp_path / "photos", "--out", tmp_path / "x", "--class", "rad")) == (
        f"{folder} has no class 'rad'. Did you mean red?"
    )
    with pytest.raises(ArgumentError, match=r"has no class 'x'\. The first classes are blue, green, red\."):
        explain(folder, "x.png", class_name="x")


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


def test_odd_names_lists_and_places_of_explain(trained, colours, tmp_path, monkeypatch):
    import io
    import os
    import sys

    folder, _ = trained
    odd = tmp_path / "odd"
    odd.mkdir()
    for name in (os.fsdecode(b"x\xff.png"), "a\nline.png", "$cash$.png"):
        (odd / name).write_bytes((colours / "test" / "red" / "000.png").read_bytes())
    process = resnext("explain", folder, odd, "--out", tmp_path / "out")
    assert process.returncode == 0, process.stderr
    assert len((tmp_path / "out" / "explanations.csv").read_text().splitlines()) == 1 + 3 + 1  # a name of two lines
    assert (tmp_path / "out" / "sheet-001.png").exists()
    assert refusal(resnext("explain", folder, tmp_path, "--out", tmp_path / "maps")) == (
        f"{tmp_path / 'maps'}: lies in {tmp_path}, whose images are explained. Choose another --out."
    )
    assert refusal(resnext("explain", folder, odd, "--out", tmp_path / "maps", "--block", "stage5_block1")) == (
        "--block is for --paths. Pass both, or leave it out."
    )
    assert refusal(resnext("explain", folder, colours, "--out", tmp_path / "maps", "--paths", "--raw")) == (
        "--paths shows all classes and writes no maps. Leave --class and --raw out."
    )
    (tmp_path / "none").mkdir()
    assert "no images in" in refusal(resnext("explain", folder, tmp_path / "none", "--out", tmp_path / "maps"))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{odd}/$cash$.png\n".encode())))
    (listed,) = explain(folder, "-")
    assert listed.name == "red"
