"""How `ResNeXt` takes weights: heads, stems, forms, and what a file says of its network."""

import dataclasses
import shutil
import warnings

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from resnext import ResNeXt, convert, load_weights, save_weights
from resnext.errors import RunError, WeightsError
from resnext.inference.model import Model
from resnext.runs.run import Run
from resnext.variants.names import get_variant
from resnext.variants.variant import Variant
from resnext.weights.variables import get_weights
from support.logs import logged
from support.networks import computed
from support.runs import change_config
from support.weights import SMALL, images, network, torch_weights


def test_every_form_reads_their_files(theirs):
    outputs = [computed(network(theirs, form=form), images()) for form in "abc"]
    np.testing.assert_allclose(outputs[0], outputs[2], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(outputs[1], outputs[2], rtol=1e-4, atol=1e-4)


@pytest.mark.once
def test_errors_speak_the_words_of_the_file(theirs):
    tensors = load_file(theirs)
    del tensors["bn1.bias"]
    tensors["layer9.0.conv1.weight"] = np.zeros((1, 2, 3, 4), np.float32)
    tensors["layer1.0.conv1.weight"] = np.zeros((16, 63, 1, 1), np.float32)
    save_file(tensors, theirs)
    with pytest.raises(WeightsError) as error:
        network(theirs)
    lines = str(error.value).splitlines()[1:]
    assert set(lines) == {
        "+ layer9.0.conv1.weight (1, 2, 3, 4)", "- bn1.bias (64,)",
        "+ layer1.0.conv1.weight (16, 63, 1, 1)", "- layer1.0.conv1.weight (16, 64, 1, 1)",
    }  # fmt: skip


def test_another_head_is_taken_only_where_it_is_asked_for(theirs, caplog):
    assert network(theirs, classes=None).output_shape == (None, 10)
    with pytest.raises(WeightsError) as error:
        load_weights(network(classes=7), theirs)
    assert str(error.value) == (
        f"{theirs} has 10 classes, the network 7. Pass classes=10 to keep that head. For a new, untrained head pass "
        "the number of classes to ResNeXt(..., weights=..., classes=...)."
    )
    with logged(caplog, "has 10 classes, the network 7: its head is new.$"):
        adapted = network(theirs, classes=7)
    assert adapted.output_shape == (None, 7)
    body = {name: value for name, value in get_weights(network(theirs)).items() if "predictions" not in name}
    for name, value in body.items():
        np.testing.assert_array_equal(get_weights(adapted)[name], value)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        features = network(theirs, include_top=False, classes=None, pooling="avg")
        load_weights(features, theirs)
    assert computed(features, images()).shape == (2, 2048)
    save_weights(features, theirs.with_name("headless.safetensors"))
    with logged(caplog, "has no head, the network 7:"):
        network(theirs.with_name("headless.safetensors"), classes=7)


@pytest.mark.parametrize("channels", [1, 2, 4, 6])
def test_the_stem_is_adapted_to_other_channels(theirs, channels, caplog):
    with logged(caplog, f"for 3 input channels, the network has {channels}: its stem is adapted.$"):
        adapted = network(theirs, input_shape=(32, 32, channels))
    kernel = get_weights(network(theirs))["stem_conv/kernel"]
    stem = get_weights(adapted)["stem_conv/kernel"]
    if channels == 1:
        np.testing.assert_allclose(stem, kernel.sum(axis=2, keepdims=True), rtol=1e-6)
    else:
        for channel in range(channels):
            np.testing.assert_allclose(stem[:, :, channel], kernel[:, :, channel % 3] * 3 / channels, rtol=1e-6)
    if channels % 3 == 0 or channels == 1:
        grey = images(1)
        np.testing.assert_allclose(
            computed(adapted, np.repeat(grey, channels, axis=-1)),
            computed(network(theirs), np.repeat(grey, 3, axis=-1)),
            rtol=1e-3, atol=1e-3,
        )  # fmt: skip
    save_file(torch_weights(channels=4), theirs)
    with pytest.raises(WeightsError, match=r"\+ conv1.weight \(64, 4, 7, 7\)\n- conv1.weight \(64, 3, 7, 7\)"):
        network(theirs)


@pytest.mark.once
def test_what_a_file_says_of_its_function_is_held_to(tmp_path):
    """Anti-aliasing has no weights: only our own files can tell."""
    variant = get_variant("resnetaa14d")
    save_weights(network(variant=variant), tmp_path / "ours.safetensors")
    assert network(tmp_path / "ours.safetensors", variant).variant == variant
    words = r"these weights are for anti_aliasing='average', the network resnet14d has None.$"
    with pytest.raises(WeightsError, match=words):
        network(tmp_path / "ours.safetensors", "resnet14d")
    assert convert(tmp_path / "ours.safetensors", tmp_path / "again.safetensors").variant == variant
    convert(tmp_path / "again.safetensors", tmp_path / "timm.safetensors", to="timm")
    convert(tmp_path / "timm.safetensors", tmp_path / "unsaid.safetensors")
    assert network(tmp_path / "unsaid.safetensors", variant).variant == variant  # it does not claim what it can't know


@pytest.mark.once
@pytest.mark.parametrize("deep", [(64,), (32, 32, 64)])
@pytest.mark.parametrize("shortcut", ["B", "D"])
def test_a_shortcut_with_equal_shapes_is_not_taken_for_another(tmp_path, deep, shortcut):
    variant = Variant((1, 1, 1, 1), 4, 4, stem_channels=deep, shortcut=shortcut)
    other = dataclasses.replace(variant, shortcut="D" if shortcut == "B" else "B")
    ours, timm = tmp_path / "ours.safetensors", tmp_path / "timm.safetensors"
    save_weights(network(variant=variant), ours)
    assert convert(ours, timm, to="timm").variant == variant
    convert(timm, tmp_path / "again.safetensors")
    for path in (ours, timm, tmp_path / "again.safetensors"):
        network(path, variant)
        with pytest.raises(WeightsError, match=f"these weights are for shortcut='{shortcut}', the network"):
            network(path, other)


@pytest.mark.once
def test_a_legacy_file_is_not_taken_for_a_padded_pool(tmp_path):
    variant = get_variant("legacy_seresnext14_4x4d")
    save_weights(network(variant=variant), tmp_path / "ours.safetensors")
    convert(tmp_path / "ours.safetensors", tmp_path / "theirs.safetensors", to="timm")
    assert "layer0.conv1.weight" in load_file(tmp_path / "theirs.safetensors")
    network(tmp_path / "theirs.safetensors", variant)
    with pytest.raises(WeightsError, match="these weights are for stem_pool='ceil', the network seresnext14_4x4d has"):
        network(tmp_path / "theirs.safetensors", "seresnext14_4x4d")


def test_preprocessing_follows_the_weights_and_the_form(tmp_path):
    from resnext import to_form
    from resnext.images.preprocessing import Preprocessing
    from resnext.model.classifier import image_network

    preprocessing = Preprocessing(32, 40, "bicubic", mean=(0.5, 0.5, 0.5))
    save_weights(image_network(SMALL, 10, preprocessing), tmp_path / "run.safetensors")
    convert(tmp_path / "run.safetensors", tmp_path / "again.safetensors")
    loaded = network(tmp_path / "again.safetensors")
    assert loaded.preprocessing == to_form(loaded, "b").preprocessing == preprocessing
    empty = network()
    assert empty.preprocessing is None
    load_weights(empty, tmp_path / "run.safetensors")
    assert empty.preprocessing == preprocessing
    save_file(torch_weights(), tmp_path / "theirs.safetensors")
    load_weights(empty, tmp_path / "theirs.safetensors")
    assert empty.preprocessing is None


@pytest.mark.once
@pytest.mark.parametrize("said", ["[1]", "nonsense", '{"shortcut": 3}', '{"mean": {}}', "3", "[" * 100_000])
def test_damaged_claims_of_a_file_are_refused(tmp_path, said):
    weights = get_weights(network())
    for key in ("network", "preprocessing"):
        path = tmp_path / "ours.safetensors"
        save_file(weights, path, metadata={"format": "resnext", key: said})
        if (key, said) in (("network", "[1]"), ("network", '{"mean": {}}')):
            network(path)  # it says nothing that we ask for
            continue
        with pytest.raises(WeightsError, match=r"its description of .* is damaged"):
            network(path)


@pytest.mark.once
def test_a_run_is_a_source_of_weights(trained):
    folder, _ = trained
    network = ResNeXt("resnext14_2x4d", weights=folder)
    assert network.output_shape == (None, 3)
    assert network.preprocessing == Run.open(folder).config.preprocessing
    best = load_file(folder / "best.safetensors")
    assert {name: (value == best[name]).all() for name, value in get_weights(network).items()} == dict.fromkeys(
        best, True
    )


def test_a_network_larger_than_its_weights_is_refused_before_it_is_built(trained, tmp_path):
    folder, _ = trained
    shutil.copy(folder / "config.json", tmp_path)
    change_config(tmp_path, variant="resnext152_9999x9999d")
    (tmp_path / "best.safetensors").write_bytes((folder / "best.safetensors").read_bytes())
    with pytest.raises(RunError, match=r"bytes, too few for resnext152_9999x9999d with 3 classes \(at least"):
        Model.open(tmp_path).build()


@pytest.mark.once
def test_weights_that_are_not_finite_answer_nowhere(tmp_path):
    network = ResNeXt("resnext14_2x4d", input_shape=(32, 32, 3), classes=2)
    before = network.get_layer("stem_conv").get_weights()[0].copy()
    save_weights(network, tmp_path / "a.safetensors")
    tensors = load_file(tmp_path / "a.safetensors")
    tensors["predictions/kernel"][0, 0] = np.nan
    tensors["stem_conv/kernel"] += 1
    save_file(tensors, tmp_path / "a.safetensors", {"format": "np"})
    message = r"a.safetensors: predictions/kernel has values that are not finite, so every answer would be wrong"
    for use in (
        lambda: ResNeXt("resnext14_2x4d", input_shape=(32, 32, 3), classes=2, weights=tmp_path / "a.safetensors"),
        lambda: load_weights(network, tmp_path / "a.safetensors"),
        lambda: Model.open(tmp_path / "a.safetensors").build(),
        lambda: convert(tmp_path / "a.safetensors", tmp_path / "b.safetensors"),
    ):
        with pytest.raises(WeightsError, match=message):
            use()
    assert not (tmp_path / "b.safetensors").exists()
    np.testing.assert_array_equal(network.get_layer("stem_conv").get_weights()[0], before)  # nothing is loaded
