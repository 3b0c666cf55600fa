"""What torchvision and timm compute with the same weights: tests/golden/make.py wrote it, and says how."""

import dataclasses
import functools
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from golden.formula import array, sample
from safetensors.numpy import load_file, save_file

from resnext.model.classifier import keras_config
from resnext.model.features import backbone
from resnext.model.network import ResNeXt
from resnext.variants.variant import Variant
from resnext.weights.convert import convert
from resnext.weights.foreign_names import layout_of_variant, to_torch
from support.networks import computed, gradients

IMAGES = (2, 3, 64, 96)
CLASSES = 10
DEEP = {"stem_channels": (32, 32, 64), "shortcut": "D"}


def variant(cardinality=4, bottleneck_width=4, **options):
    return Variant((1, 2, 1, 1), cardinality, bottleneck_width, **options)


basic = functools.partial(variant, 1, 64, block="basic")
FAMILIES = {
    "torchvision": variant(),
    "torchvision_output_stride_8": variant(output_stride=8),
    "torchvision_basic": basic(),
    "torchvision_wide": variant(1, 24),
    "timm": variant(),
    "d": variant(**DEEP),
    "d_output_stride_8": variant(**DEEP, output_stride=8),
    "t_eca": variant(stem_channels=(24, 32, 64), shortcut="D", attention="eca"),
    "se": variant(attention="se"),
    "se_aa_d": variant(**DEEP, attention="se", anti_aliasing="average"),
    "aa_output_stride_16": variant(**DEEP, anti_aliasing="average", output_stride=16),
    "aa_wide_stem": variant(stem_channels=(64, 64, 128), shortcut="D", anti_aliasing="average"),
    "silu": variant(activation="silu"),
    "basic_d_se": basic(**DEEP, attention="se"),
    "legacy_se": variant(attention="se", stem_pool="ceil"),
}
TRAINED = ("torchvision", "torchvision_output_stride_8", "t_eca", "se_aa_d", "basic_d_se", "legacy_se")


@functools.cache
def golden() -> dict:
    return json.loads((Path(__file__).parents[1] / "golden" / "parity.json").read_text())


@pytest.fixture
def weights(request, tmp_path):
    """The file that the family's home library would have written."""
    shapes = golden()[request.param]["shapes"]
    tensors = {
        name: array(name, tuple(shape)) if not name.endswith("tracked") else np.zeros((), np.int64)
        for name, shape in shapes.items()
    }
    save_file(tensors, tmp_path / "theirs.safetensors")
    return request.param, tmp_path / "theirs.safetensors"


@pytest.mark.parametrize("weights", FAMILIES, indirect=True)
def test_stages_and_logits_are_theirs(weights):
    name, path = weights
    images = np.moveaxis(array("pictures", IMAGES), 1, -1)
    network = ResNeXt(
        FAMILIES[name], weights=path, classes=CLASSES, classifier_activation=None, input_shape=(64, 96, 3)
    )
    ends = [f"stage{stage}_block{1 + (stage == 3)}_" for stage in (2, 3, 4, 5)]
    layers = [[layer for layer in network.layers if layer.name.startswith(end)][-1] for end in ends]
    outputs = [*(layer.output for layer in layers), network.output]
    *maps, logits = computed(keras.Model(network.input, outputs), images)
    _compare(logits, golden()[name]["logits"])
    for ours, theirs in zip(maps, golden()[name]["stages"], strict=True):
        ours = np.moveaxis(ours, -1, 1)
        assert list(ours.shape) == theirs["shape"]
        _compare(np.array(sample(ours, 40)), theirs["sample"])


@pytest.mark.parametrize("weights", TRAINED, indirect=True)
def test_channels_first_gives_theirs_too(weights):
    name, path = weights
    with keras_config("float32", "channels_first"):
        pyramid = backbone(FAMILIES[name], weights=path)
        for ours, theirs in zip(computed(pyramid, array("pictures", IMAGES)), golden()[name]["stages"], strict=True):
            _compare(np.array(sample(ours, 40)), theirs["sample"])


@pytest.mark.parametrize("weights", TRAINED, indirect=True)
def test_gradients_at_inference_are_theirs(weights):
    """By the fast routes; the batch norms are frozen."""
    name, path = weights
    network = ResNeXt(
        FAMILIES[name], weights=path, classes=CLASSES, classifier_activation=None, input_shape=(64, 96, 3)
    )
    for layer in network.layers:
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    _compare_gradients(network, name, "gradients_at_inference")


@pytest.mark.parametrize("weights", TRAINED, indirect=True)
def test_gradients_in_training_are_theirs(weights):
    if keras.backend.backend() != "tensorflow":
        pytest.skip(
            "float64 throughout is TensorFlow's only: Keras's batch norm computes in float32 on PyTorch and JAX"
        )
    name, path = weights
    with keras_config("float64"):
        network = ResNeXt(
            FAMILIES[name], weights=path, classes=CLASSES, classifier_activation=None, input_shape=(64, 96, 3)
        )
    _compare_gradients(network, name, "gradients_in_training")


def _compare_gradients(network, name, kind):
    images, targets = np.moveaxis(array("pictures", IMAGES), 1, -1), array("targets", (2, CLASSES))
    ours = to_torch(gradients(network, images, targets), FAMILIES[name])
    trained = {layer.name: layer.trainable for layer in network.layers}
    for key, theirs in golden()[name][kind].items():
        assert ours[key].shape == tuple(golden()[name]["shapes"][key])
        if trained[layout_of_variant(FAMILIES[name]).our_name(key).split("/")[0]]:
            tolerance = 1e-3 * theirs["largest"] + 1e-7
            np.testing.assert_allclose(sample(ours[key], 6), theirs["sample"], rtol=0, atol=tolerance, err_msg=key)


@pytest.mark.once
@pytest.mark.parametrize("weights", FAMILIES, indirect=True)
def test_round_trip_is_bit_identical(weights, tmp_path):
    name, path = weights
    target = "torchvision" if name.startswith("torchvision") else "timm"
    there = convert(path, tmp_path / "ours.safetensors")
    assert (there.classes, there.variant.blocks) == (CLASSES, (1, 2, 1, 1))
    untraced = {"activation": "relu", "anti_aliasing": None, "output_stride": 32}
    assert there.variant == dataclasses.replace(FAMILIES[name], **untraced)
    convert(tmp_path / "ours.safetensors", tmp_path / "back.safetensors", to=target)
    before, after = load_file(path), load_file(tmp_path / "back.safetensors")
    assert before.keys() == after.keys()
    assert all(before[key].tobytes() == after[key].tobytes() for key in before)
    assert {key: value.shape for key, value in before.items()} == {key: value.shape for key, value in after.items()}


def _compare(ours, theirs):
    theirs = np.array(theirs)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4 * np.abs(theirs).max())
