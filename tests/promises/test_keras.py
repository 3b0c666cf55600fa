"""A good citizen of Keras: what its own functions do with our networks, in this process and in a fresh one."""

import copy
import os
import pickle
import subprocess
import sys

import keras
import numpy as np
import pytest

import resnext
from resnext.errors import ArgumentError, WeightsError
from resnext.layers import GroupedConv2D
from resnext.model.features import Backbone
from support.networks import computed


@pytest.fixture
def network():
    return resnext.ResNeXt("resnext11_2x4d", classes=3)


def outputs(model, x):
    return keras.tree.flatten(computed(model, x))


def test_a_fresh_process_loads_what_was_saved(tmp_path, network):
    """Keras is imported first there: every other test imports resnext before it."""
    pyramid = resnext.backbone("resnext11_2x4d", input_shape=(32, 32, 3), out_stages=(2, 3))
    inputs = keras.Input((32, 32, 3))
    around = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(pyramid(inputs)[-1]))
    models = {"network": network, "around": around, "folded": resnext.fold(network),
              "clone": keras.models.clone_model(network)}  # fmt: skip
    x = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    for name, model in models.items():
        model.save(tmp_path / f"{name}.keras")
        np.save(tmp_path / f"{name}.npy", outputs(model, x)[0])
    np.save(tmp_path / "x.npy", x)
    code = """import keras, resnext
import sys
import numpy as np
from pathlib import Path
folder = Path(sys.argv[1])
for path in sorted(folder.glob("*.keras")):
    y = keras.saving.load_model(path).predict_on_batch(np.load(folder / "x.npy"))
    np.testing.assert_allclose(y, np.load(path.with_suffix(".npy")), atol=1e-5)
    print(path.stem)
"""
    loaded = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, timeout=120)
    assert loaded.stdout.split() == sorted(models), loaded.stderr[-2000:]


@pytest.mark.once
def test_importing_resnext_does_not_import_keras():
    code = "import sys, resnext; sys.exit('keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_copies_keep_what_they_know(network, tmp_path):
    copies = {
        "clone": keras.models.clone_model(network),
        "from_config": type(network).from_config(network.get_config()),
        "deepcopy": copy.deepcopy(network),
        "pickle": pickle.loads(pickle.dumps(network)),
    }
    for name, other in copies.items():
        assert (other.variant, other.form, other.preprocessing) == (network.variant, "c", None), name
        assert resnext.to_form(other, "b").form == "b"
        other.save(tmp_path / f"{name}.keras")
        assert keras.saving.load_model(tmp_path / f"{name}.keras").variant == network.variant
        resnext.save_weights(other, tmp_path / f"{name}.safetensors")
    pyramid = keras.models.clone_model(resnext.backbone("resnext14_2x4d", input_shape=(32, 32, 3)))
    assert isinstance(pyramid, Backbone)
    assert [level.stage for level in pyramid.pyramid] == [2, 3, 4, 5]


def test_a_clone_does_not_share_what_it_knows(network):
    from resnext.images.preprocessing import Preprocessing

    clone = keras.models.clone_model(network)
    clone.preprocessing = Preprocessing(32, 32)
    assert network.preprocessing is None


def test_a_part_of_a_network_is_a_model_of_keras(network, tmp_path):
    part = keras.Model(network.input, network.get_layer("stage2_block1_transition_norm").output)
    part.save(tmp_path / "part.keras")
    x = np.zeros((1, 32, 32, 3), "float32")
    np.testing.assert_array_equal(outputs(keras.saving.load_model(tmp_path / "part.keras"), x)[0], outputs(part, x)[0])
    assert copy.deepcopy(part).count_params() == part.count_params()


@pytest.mark.once
@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (3, None, 32)])
def test_a_shape_of_the_other_layout_is_refused(shape):
    with pytest.raises(
        ArgumentError, match=r"which looks like channels_first; for that layout call keras.config.set_im"
    ):
        resnext.ResNeXt("resnext11_2x4d", input_shape=shape)
    assert resnext.ResNeXt("resnext11_2x4d", input_shape=(32, 32, 12), classes=2).input_shape[-1] == 12


@pytest.mark.once
def test_plain_values_of_other_kinds_are_understood():
    assert resnext.ResNeXt("resnext11_2x4d", classes=np.int64(4)).output_shape == (None, 4)
    assert [level.stage for level in resnext.backbone("resnext11_2x4d").pyramid] == [2, 3, 4]
    with pytest.raises(ArgumentError, match=r"`stages` must be a sequence of numbers such as \(1, 2\). Received: 1"):
        resnext.freeze(resnext.ResNeXt("resnext11_2x4d"), 1)


@pytest.mark.once
def test_weights_are_saved_under_names_that_can_be_read(network, tmp_path):
    with pytest.raises(ArgumentError, match=r"must be a network that ResNeXt or backbone built. Received: Functional"):
        resnext.save_weights(resnext.fold(network), tmp_path / "x.safetensors")
    with pytest.raises(ArgumentError, match=r"x.h5: weights for resnext are written as .safetensors. Choose such"):
        resnext.save_weights(network, tmp_path / "x.h5")
    with pytest.raises(ArgumentError, match=r"no/x.safetensors: its folder does not exist. Pass a file in an existing"):
        resnext.save_weights(network, tmp_path / "no" / "x.safetensors")
    network.save_weights(tmp_path / "x.weights.h5")
    with pytest.raises(WeightsError, match=r"written by Keras's own save_weights.* then call network.load_w"):
        resnext.ResNeXt("resnext11_2x4d", classes=3, weights=tmp_path / "x.weights.h5")
    resnext.save_weights(network, tmp_path / "x.safetensors")
    with pytest.raises(ArgumentError, match=r"x.safetensors: exists already. Choose another --out, or remove it.$"):
        resnext.convert(tmp_path / "x.safetensors", tmp_path / "x.safetensors")


def test_quantize_says_what_it_leaves(network):
    with pytest.warns(UserWarning, match="quantize") as warned:
        network.quantize("int8")
    (warning,) = [str(each.message) for each in warned if "__array__" not in str(each.message)]  # NumPy on Keras
    assert warning.startswith("quantize('int8') quantises the classifier only: Keras has no quantised convolutions.")
    assert "ONNX Runtime or OpenVINO" in warning
    assert network.get_layer("predictions").quantization_mode == "int8"


@pytest.mark.once
def test_a_tilde_is_the_home_folder(network, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    resnext.save_weights(network, "~/x.safetensors")
    assert (tmp_path / "x.safetensors").is_file()
    assert resnext.ResNeXt("resnext11_2x4d", classes=3, weights="~/x.safetensors").variant == network.variant


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="there XLA computes it")
def test_half_precision_on_a_cpu_takes_the_route_that_is_not_naive():
    """A step of mixed_float16 took 100 times as long by the direct route (docs/decisions.md)."""
    layer = GroupedConv2D(8, 3, dtype="mixed_float16")
    layer.build((None, 8, 8, 4))
    assert layer.route == "merged"


@pytest.mark.once
def test_an_empty_backend_is_the_default():
    code = "from resnext.backend import import_keras; import_keras(); import keras; print(keras.backend.backend())"
    environment = {**os.environ, "KERAS_BACKEND": ""}
    process = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert process.stdout.split()[-1:] == ["tensorflow"], process.stderr
