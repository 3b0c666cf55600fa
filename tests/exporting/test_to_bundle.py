"""Bundles: a model of ours, and a folder that timm reads."""

import json
import math
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file

from resnext import Model, ResNeXt, evaluate, export, get_variant, save_weights
from resnext.errors import ArgumentError
from resnext.images.preprocessing import Preprocessing
from support.command import refusal, resnext
from support.networks import with_random_statistics
from support.runs import change_config, config_of

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.mark.parametrize("fit", ["crop", "squash"])
def test_a_bundle_is_a_model_and_what_timm_reads(trained, colours, tmp_path, fit):
    """The layout of timm's folders: its names and shapes, architecture with arguments, classes, preprocessing."""
    shutil.copytree(trained[0], tmp_path / "run")
    preprocessing = config_of(tmp_path / "run")["preprocessing"] | {"fit": fit, "resize": 37}
    change_config(tmp_path / "run", preprocessing=preprocessing)
    process = resnext("export", tmp_path / "run", "--to", "bundle", "--out", tmp_path / "bundle")
    assert process.returncode == 0, process.stderr
    bundle = tmp_path / "bundle"
    assert {path.name for path in bundle.iterdir()} == {"model.safetensors", "config.json", "labels.txt", "README.md"}
    config = json.loads((bundle / "config.json").read_text())
    assert config["architecture"] == "resnext50_32x4d"
    assert config["model_args"] == {"layers": [1, 1, 1, 1], "cardinality": 2, "base_width": 4}
    assert config["label_names"] == ["blue", "green", "red"]
    assert config["pretrained_cfg"]["input_size"] == [3, 32, 32]
    assert math.floor(32 / config["pretrained_cfg"]["crop_pct"]) == 37
    assert load_file(bundle / "model.safetensors")["layer1.0.conv2.weight"].shape == (8, 4, 3, 3)
    model, given = Model.open(bundle), Model.open(tmp_path / "run")
    assert (model.classes, model.variant, model.preprocessing) == (given.classes, given.variant, given.preprocessing)
    np.testing.assert_allclose(
        evaluate(bundle, colours / "test").losses, evaluate(tmp_path / "run", colours).losses, atol=1e-4
    )
    card = (bundle / "README.md").read_text()
    for words in (
        "library_name: timm",
        "3: blue, green, red",
        "Recipe `photos`: 6 epochs",
        "72 images",
        "On 12 images",
    ):
        assert words in card
    assert refusal(resnext("export", trained[0], "--to", "bundle", "--out", bundle)) == (
        f"{bundle}: exists already. Pass a new folder."
    )


@pytest.mark.once
@pytest.mark.parametrize("name", ["seresnextaa14d_2x4d", "resnext26t_2x4d", "resnet10", "ecaresnext14_2x4d"])
def test_a_bundle_of_any_family_is_the_same_network(tmp_path, name):
    """What leaves no trace in the weights, such as anti-aliasing, is in the configuration."""
    network = with_random_statistics(ResNeXt(name, input_shape=(64, 64, 3), classes=3))
    network.class_names, network.preprocessing = ["a", "b", "c"], Preprocessing(64, 72)
    save_weights(network, tmp_path / "w.safetensors")
    done = export(name, tmp_path / "bundle", weights=str(tmp_path / "w.safetensors"), to="bundle")
    assert done.difference < 1e-5
    model = Model.open(tmp_path / "bundle")
    assert (model.variant, model.classes) == (get_variant(name), ("a", "b", "c"))


@pytest.mark.once(on="torch")
@pytest.mark.parametrize("name", ["resnext14_2x4d", "resnext14d_2x4d", "resnext26t_2x4d", "seresnext14_2x4d",
                                  "ecaresnext14_2x4d", "seresnextaa14d_2x4d", "resnet10"])  # fmt: skip
def test_timm_builds_the_same_network(tmp_path, name):
    """In an environment that has timm as well: the same probabilities from the same pixels."""
    timm, torch = (pytest.importorskip(package) for package in ("timm", "torch"))
    network = with_random_statistics(ResNeXt(name, input_shape=(64, 64, 3), classes=3))
    network.class_names, network.preprocessing = ["a", "b", "c"], Preprocessing(64, 72)
    save_weights(network, tmp_path / "w.safetensors")
    export(name, tmp_path / "bundle", weights=str(tmp_path / "w.safetensors"), to="bundle")
    images = np.random.default_rng(0).normal(size=(4, 64, 64, 3)).astype("float32")
    with torch.inference_mode():
        theirs = timm.create_model(f"local-dir:{tmp_path / 'bundle'}", pretrained=True).eval()
        probabilities = theirs(torch.from_numpy(images).permute(0, 3, 1, 2)).softmax(-1)
    np.testing.assert_allclose(network.predict(images, verbose=0), probabilities.numpy(), atol=1e-5)


@pytest.mark.once
def test_timm_has_no_network_for_cifar(tmp_path):
    save_weights(ResNeXt("resnext29_2x16d", input_shape=(32, 32, 3), classes=3), tmp_path / "w.safetensors")
    with pytest.raises(ArgumentError, match=r"resnext29_2x16d: timm has no such network, so it can't be a bundle\."):
        export(tmp_path / "w.safetensors", tmp_path / "bundle", to="bundle")
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]
