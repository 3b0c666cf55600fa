"""`convert`: there and back, in every precision."""

import dataclasses

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from resnext import convert, save_weights
from resnext.errors import WeightsError
from resnext.variants.names import get_variant
from resnext.weights.timm_config import timm_architecture
from resnext.weights.variables import get_weights
from support.command import refusal, resnext
from support.weights import SMALL, network, torch_weights


@pytest.mark.once
@pytest.mark.parametrize("dtype", ["float16", "float64", "bfloat16"])
def test_other_precisions_are_read_and_kept_by_convert(tmp_path, dtype):
    import ml_dtypes

    kind = ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype
    tensors = {name: value.astype(kind) for name, value in torch_weights().items()}
    save_file(tensors, tmp_path / "theirs.safetensors")
    loaded = get_weights(network(tmp_path / "theirs.safetensors"))
    np.testing.assert_array_equal(loaded["stem_norm/gamma"], tensors["bn1.weight"].astype("float32"))
    convert(tmp_path / "theirs.safetensors", tmp_path / "ours.safetensors")
    convert(tmp_path / "ours.safetensors", tmp_path / "back.safetensors", to="timm")
    assert {name: value.tobytes() for name, value in load_file(tmp_path / "back.safetensors").items()} == {
        name: value.tobytes() for name, value in tensors.items()
    }


@pytest.mark.once
def test_weights_of_a_wide_resnet_keep_their_name(tmp_path):
    shapes = {name: np.zeros(value.shape, "float16") for name, value in torch_weights("wide_resnet50_2", 3).items()}
    save_file(shapes, tmp_path / "theirs.safetensors")
    there = convert(tmp_path / "theirs.safetensors", tmp_path / "ours.safetensors", variant="resnext50_1x128d")
    assert (there.variant.name, there.classes) == ("wide_resnet50_2", 3)
    convert(tmp_path / "ours.safetensors", tmp_path / "back.safetensors", to="torchvision")
    back = load_file(tmp_path / "back.safetensors")
    assert {name: value.shape for name, value in back.items()} == {name: value.shape for name, value in shapes.items()}
    assert timm_architecture(there.variant) == ("wide_resnet50_2", {})


@pytest.mark.once
def test_convert_refuses_what_nobody_could_load(theirs, tmp_path):
    save_weights(network(variant="resnext11_4x4d"), tmp_path / "cifar.safetensors")
    save_weights(network(variant="seresnext14_4x4d"), tmp_path / "se.safetensors")
    for name, option in {
        "silu": {"activation": "silu"},
        "narrow": {"stem_channels": (32,)},
        "ceil": {"stem_pool": "ceil"},
    }.items():
        variant = dataclasses.replace(get_variant(SMALL), **option)
        save_weights(network(variant=variant), tmp_path / f"{name}.safetensors")
    for source, out, to, words in [
        (
            "cifar",
            "x.safetensors",
            "timm",
            r"timm has no network like resnext11_4x4d: a stem for CIFAR of .*. Use --to resnext.$",
        ),
        ("se", "x.safetensors", "torchvision", r"like seresnext14_4x4d: .* se, .*Use --to resnext or --to timm.$"),
        ("silu", "x.safetensors", "torchvision", r"like resnext14_4x4d: .* silu. Use --to resnext or --to timm.$"),
        ("narrow", "x.safetensors", "torchvision", r"a stem for ImageNet of 32 channels, .*. Use --to resnext.$"),
        ("ceil", "x.safetensors", "timm", r"timm has no network like legacy_resnext14_4x4d: .* Use --to resnext.$"),
        ("se", "x.pth", "resnext", r"weights for resnext are written as .safetensors. Choose such a name.$"),
        ("se", "x.h5", "timm", r"weights for timm are written as .safetensors, .pth, .pt, .bin. Choose such a name.$"),
        ("se", "no/x.pth", "timm", r"no/x.pth: its folder does not exist. Pass a file in an existing folder.$"),
        ("se", "x.safetensors", "tf", "`to` must be one of resnext, torchvision, timm. Received: 'tf'"),
    ]:
        with pytest.raises(ValueError, match=words):
            convert(tmp_path / f"{source}.safetensors", tmp_path / out, to=to)
        assert not (tmp_path / out).exists()
    save_file({"encoder.weight": np.zeros((2, 2), np.float32)}, tmp_path / "vit.safetensors")
    with pytest.raises(
        WeightsError, match=r"its tensors \(encoder.weight, ...\) are those of no ResNeXt or ResNet that resnext knows"
    ):
        convert(tmp_path / "vit.safetensors", tmp_path / "x.safetensors")
    save_file({"bn1.weight": np.zeros(2, np.float32)}, tmp_path / "half.safetensors")
    with pytest.raises(WeightsError, match="its tensors' shapes match no network in resnext"):
        convert(tmp_path / "half.safetensors", tmp_path / "x.safetensors")


@pytest.mark.once
def test_the_command_converts_there_and_back(theirs, tmp_path):
    ours, back = tmp_path / "ours.safetensors", tmp_path / "back.safetensors"
    said = resnext("convert", theirs, "--out", ours).stdout
    assert said == f"resnext14_4x4d, 10 classes, {len(load_file(theirs))} tensors: {ours}\n"
    resnext("convert", ours, "--to", "torchvision", "--out", back)
    before, after = load_file(theirs), load_file(back)
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    wrong = resnext("convert", tmp_path / "none.pth", "--out", tmp_path / "other.safetensors")
    assert refusal(wrong) == f"{tmp_path / 'none.pth'}: no such weights file."
