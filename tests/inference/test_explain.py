"""Where a network looks: maps against gradients in PyTorch, and the pictures of them."""

import csv

import numpy as np
import pytest
from PIL import Image

from resnext import explain, predict
from resnext.errors import ArgumentError
from resnext.images.preprocessing import Preprocessing
from resnext.inference.explanation_files import overlay
from resnext.inference.model import Model
from resnext.inference.options import PredictionOptions
from resnext.model.classifier import head_weights
from support.command import refusal, resnext
from support.photos import write_photos

pytestmark = pytest.mark.once


@pytest.mark.once(on="torch")
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
    assert len((tmp_path / "out" / "explanations.csv").read_text().splitlines()) == 1 + 3
    assert (tmp_path / "out" / "sheet-001.png").exists()
    assert refusal(resnext("explain", folder, tmp_path, "--out", tmp_path / "maps")) == (
        f"{tmp_path / 'maps'}: lies in {tmp_path}, whose images are being read. Choose another --out."
    )
    assert refusal(resnext("explain", folder, odd, "--out", tmp_path / "maps", "--block", "stage5_block1")) == (
        "--block is for --paths. Pass both, or leave it out."
    )
    assert refusal(resnext("explain", folder, colours, "--out", tmp_path / "maps", "--paths", "--raw")) == (
        "--paths shows all classes and writes no maps. Leave --class, --raw and --fine out."
    )
    (tmp_path / "none").mkdir()
    assert "no images in" in refusal(resnext("explain", folder, tmp_path / "none", "--out", tmp_path / "maps"))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{odd}/$cash$.png\n".encode())))
    (listed,) = explain(folder, "-")
    assert listed.name == "red"


@pytest.mark.once
def test_fine_maps_are_those_of_moved_images(trained, colours):
    """32 pixels and 4 x 4 positions become 8 x 8: each value is one of a map of the image moved by 2 or 6 pixels."""
    file = next((colours / "test").glob("*/*.png"))
    (coarse,) = explain(trained[0], file)
    (fine,) = explain(trained[0], file, fine=True)
    assert (coarse.name, coarse.probability) == (fine.name, fine.probability)
    rows = coarse.map.shape[0]
    assert fine.map.shape == (8, 8)
    model = Model.open(trained[0])
    pixels = model.preprocessing.load(file)[None]
    label = model.classes.index(coarse.name)
    (engine,) = model.engines(outputs=("logits", "maps"))
    times = fine.map.shape[0] // rows
    step = 32 // rows // times
    for down in range(times):
        for right in range(times):
            moved = np.empty_like(pixels)
            moved[:] = model.preprocessing.fill
            y, x = (round((place - (times - 1) / 2) * step) for place in (down, right))
            for i in range(32):
                for j in range(32):
                    if 0 <= i + y < 32 and 0 <= j + x < 32:
                        moved[:, i, j] = pixels[:, i + y, j + x]
            outputs = engine.outputs(moved)
            np.testing.assert_allclose(fine.map[down::times, right::times], outputs.activation_map(0, label), atol=1e-4)
