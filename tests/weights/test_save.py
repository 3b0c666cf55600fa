"""Our own weights files: any equal form reads what another wrote, strictly or not at all."""

import itertools
import json
import struct

import keras
import numpy as np
import pytest
from safetensors.numpy import save_file

from resnext.errors import WeightsError
from resnext.model.network import ResNeXt
from resnext.weights.load import load_weights
from resnext.weights.save import save_weights
from resnext.weights.variables import get_weights, weight_shapes

NAME = "resnext11_4x4d"


def network(form="c", classes=5, variant=NAME, **arguments):
    return ResNeXt(variant, classes=classes, form=form, **arguments)


def test_every_form_reads_what_every_form_wrote(tmp_path):
    networks = {form: network(form) for form in "abc"}
    written = {form: get_weights(each) for form, each in networks.items()}
    for form, each in networks.items():
        save_weights(each, tmp_path / f"{form}.safetensors")
    for form, target in itertools.product("abc", networks.values()):
        load_weights(target, tmp_path / f"{form}.safetensors")
        read = get_weights(target)
        for name, array in written[form].items():
            np.testing.assert_array_equal(read[name], array)


def test_the_sliced_form_reads_what_it_wrote(tmp_path):
    source = network("sliced")
    save_weights(source, tmp_path / "w.safetensors")
    target = network("sliced", weights=tmp_path / "w.safetensors")
    for name, array in get_weights(source).items():
        np.testing.assert_array_equal(get_weights(target)[name], array)
    with pytest.raises(
        WeightsError, match=r"these are weights of \S+-sliced, but the network is [^-]+\. Use the variant"
    ):
        load_weights(network("c"), tmp_path / "w.safetensors")


def test_a_model_of_another_kind_is_refused(tmp_path):
    inputs = keras.Input((32, 32, 3))
    around = keras.Model(inputs, network()(inputs), name="around")
    words = "^around: several weights have the same name. Pass a network that `ResNeXt` built.$"
    with pytest.raises(ValueError, match=r"must be a network that ResNeXt or backbone built. Received: Functional 'ar"):
        save_weights(around, tmp_path / "w.safetensors")
    assert list(tmp_path.iterdir()) == []
    save_weights(network(), tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match=words):
        load_weights(around, tmp_path / "w.safetensors")


def test_weights_that_are_no_floats_are_named(tmp_path):
    path = tmp_path / "w.safetensors"
    weights = get_weights(network())
    for name, dtype in (("predictions/bias", "int64"), ("stem_norm/gamma", "bool")):
        weights[name] = weights[name].astype(dtype)
    save_file(weights, path)
    target = network()
    before = get_weights(target)
    words = r"these are not: predictions/bias I64, stem_norm/gamma BOOL$"
    with pytest.raises(WeightsError, match=rf"w.safetensors: weights must be F64, F32, F16, BF16; {words}"):
        load_weights(target, path)
    for name, array in get_weights(target).items():
        np.testing.assert_array_equal(array, before[name])


def test_names_are_the_papers_words(tmp_path):
    names = set(get_weights(network()))
    assert {"stem_conv/kernel", "stage2_block1_transform_1x1_conv/kernel", "stage3_block1_transform_3x3_conv/kernel",
            "stage4_block1_transition_norm/gamma", "stage2_block1_shortcut_conv/kernel",
            "predictions/bias"} <= names  # fmt: skip
    for form in "abc":
        shapes = {name: array.shape for name, array in get_weights(network(form)).items()}
        assert weight_shapes(network(form)) == shapes


def test_left_over_missing_and_misshapen_tensors_are_listed_and_nothing_is_loaded(tmp_path):
    weights = get_weights(network(variant="resnext20_4x4d", classes=7))
    del weights["stage2_block2_transform_1x1_norm/gamma"]  # with all of them it would be a known network
    save_file(weights, tmp_path / "w.safetensors")
    target = network()
    before = get_weights(target)
    with pytest.raises(WeightsError) as error:
        load_weights(target, tmp_path / "w.safetensors")
    lines = str(error.value).splitlines()
    assert "+ stage2_block2_transition_conv/kernel (1, 1, 16, 256)" in lines
    assert "+ predictions/kernel (1024, 7)" in lines
    assert "- predictions/kernel (1024, 5)" in lines
    for name, array in get_weights(target).items():
        np.testing.assert_array_equal(array, before[name])
    save_weights(network(include_top=False), tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match=r"has no head, the network 5. For a new, untrained head pass"):
        load_weights(target, tmp_path / "w.safetensors")


def test_missing_file_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"none.safetensors: no such weights file"):
        network(weights=tmp_path / "none.safetensors")


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_damaged_file_is_refused(tmp_path, keep):
    path = tmp_path / "w.safetensors"
    save_weights(network(), path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(WeightsError, match="incomplete or damaged safetensors file"):
        load_weights(network(), path)


def test_pickles_and_hostile_headers_are_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    header = json.dumps({"x": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()
    for content in (b"\x80\x04cos\nsystem\n(S'true'\ntR.", struct.pack("<Q", 2**63) + b"{}",
                    struct.pack("<Q", len(header)) + header):  # fmt: skip
        path.write_bytes(content)
        with pytest.raises(WeightsError):
            load_weights(network(), path)


def test_an_old_file_stays_whole_when_writing_fails(tmp_path, monkeypatch):
    path = tmp_path / "w.safetensors"
    save_weights(network(), path)
    before = path.read_bytes()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        save_weights(network(), path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["w.safetensors"]


def test_half_precision_weights_survive(tmp_path):
    from resnext.model.classifier import keras_config

    with keras_config("bfloat16"):
        source = network()
        save_weights(source, tmp_path / "w.safetensors")
        target = network(weights=tmp_path / "w.safetensors")
    for name, array in get_weights(source).items():
        np.testing.assert_array_equal(get_weights(target)[name].astype("float32"), array.astype("float32"))
    assert keras.config.dtype_policy().name == "float32"
