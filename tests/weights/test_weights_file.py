"""Weights from every kind of file that people have: PyTorch's, Keras's and others'."""

import h5py
import keras
import numpy as np
import pytest
from golden.formula import array
from keras import layers
from safetensors.numpy import load_file, save_file

from resnext import convert, preprocess_input
from resnext.errors import WeightsError
from resnext.variants.names import get_variant
from resnext.variants.variant import Variant
from resnext.weights.variables import get_weights
from support.logs import logged
from support.networks import computed
from support.weights import SMALL, images, network, torch_weights


@pytest.mark.once(on="torch")
@pytest.mark.parametrize("old", [True, False])
@pytest.mark.parametrize("wrapped", ["", "module.", "state_dict", "model"])
def test_pytorch_files_new_old_parallel_and_wrapped(tmp_path, theirs, old, wrapped):
    torch = pytest.importorskip("torch", reason="PyTorch's own files need PyTorch")
    prefix = wrapped if wrapped.endswith(".") else ""
    content = {prefix + name: torch.from_numpy(value) for name, value in torch_weights().items()}
    content[f"{prefix}bn1.num_batches_tracked"] = torch.tensor(7)
    path = tmp_path / "weights.pth"
    wrapped = wrapped.strip(".") if wrapped not in ("", "module.") else ""
    torch.save({wrapped: content, "epoch": 3} if wrapped else content, path, _use_new_zipfile_serialization=not old)
    expected = get_weights(network(theirs))
    for name, value in get_weights(network(path)).items():
        np.testing.assert_array_equal(value, expected[name])
    assert convert(path, tmp_path / "ours.safetensors").variant.name == SMALL
    assert load_file(tmp_path / "ours.safetensors")["stem_norm/num_batches_tracked"] == 7
    convert(tmp_path / "ours.safetensors", tmp_path / "back.pth", to="torchvision")
    back = torch.load(tmp_path / "back.pth", weights_only=True)
    assert set(back) == {name.removeprefix(prefix) for name in content}
    assert all(torch.equal(back[name.removeprefix(prefix)], tensor) for name, tensor in content.items())


@pytest.mark.once
@pytest.mark.parametrize(
    "prefix", ["model.", "net.", "_orig_mod.", "module._orig_mod.", "model._orig_mod.", "backbone.", "encoder.model."]
)
def test_what_wrappers_put_before_every_name_is_ignored_and_reported(tmp_path, theirs, prefix, caplog):
    weights = {prefix + name: value for name, value in torch_weights().items()}
    save_file({**weights, "n_averaged": np.array(7)}, tmp_path / "wrapped.safetensors")
    expected = get_weights(network(theirs))
    with logged(caplog, f"wrapped.safetensors: the prefix '{prefix}' of its names is ignored"):
        found = get_weights(network(tmp_path / "wrapped.safetensors"))
    for name, value in found.items():
        np.testing.assert_array_equal(value, expected[name])
    with logged(caplog, "is ignored"):
        assert convert(tmp_path / "wrapped.safetensors", tmp_path / "ours.safetensors").variant.name == SMALL
    del weights[f"{prefix}bn1.weight"]
    save_file({**weights, "bn1.weight": np.ones(64, np.float32)}, tmp_path / "mixed.safetensors")
    with pytest.raises(WeightsError, match=r"these tensors are not the network's"):
        network(tmp_path / "mixed.safetensors")


@pytest.mark.once
def test_a_pytorch_file_without_pytorch_says_what_to_install(tmp_path, monkeypatch):
    import sys
    import zipfile

    with zipfile.ZipFile(tmp_path / "weights.pth", "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}.")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r"weights.pth needs the package torch: pip install 'resnext\[torch\]'$"):
        convert(tmp_path / "weights.pth", tmp_path / "ours.safetensors")
    save_file(torch_weights(), tmp_path / "theirs.safetensors")
    with pytest.raises(ImportError, match="writing PyTorch's format needs the package torch"):
        convert(tmp_path / "theirs.safetensors", tmp_path / "back.pth", to="timm")


def keras_applications_network(groups=32):
    """keras-applications' ResNeXt with one block a stage: the 3x3 is a depthwise convolution, summed by a fixed 1x1."""
    x = inputs = keras.Input((32, 32, 3))

    def norm(x, name):
        return layers.BatchNormalization(epsilon=1.001e-5, name=name)(x)

    x = layers.Conv2D(64, 7, 2, use_bias=False, name="conv1_conv")(layers.ZeroPadding2D(3)(x))
    x = layers.ReLU()(norm(x, "conv1_bn"))
    x = layers.MaxPooling2D(3, 2)(layers.ZeroPadding2D(1)(x))
    for stage, filters in zip((2, 3, 4, 5), (128, 256, 512, 1024), strict=True):
        name, strides = f"conv{stage}_block1", 1 if stage == 2 else 2
        shortcut = layers.Conv2D(2 * filters, 1, strides, use_bias=False, name=f"{name}_0_conv")(x)
        shortcut = norm(shortcut, f"{name}_0_bn")
        y = layers.ReLU()(norm(layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_1_conv")(x), f"{name}_1_bn"))
        width = filters // groups
        y = layers.ZeroPadding2D(1)(y)
        y = layers.DepthwiseConv2D(3, strides, depth_multiplier=width, use_bias=False, name=f"{name}_2_conv")(y)
        y = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_2_gconv")(y)
        y = layers.ReLU()(norm(y, f"{name}_2_bn"))
        y = norm(layers.Conv2D(2 * filters, 1, use_bias=False, name=f"{name}_3_conv")(y), f"{name}_3_bn")
        x = layers.ReLU()(layers.Add()([shortcut, y]))
    outputs = layers.Dense(10, name="probs")(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, outputs)
    for stage, filters in zip((2, 3, 4, 5), (128, 256, 512, 1024), strict=True):
        width = filters // groups
        kernel = np.zeros((1, 1, filters * width, filters), np.float32)
        for i in range(filters):
            start = (i // width) * width * width + i % width
            kernel[:, :, start : start + width * width : width, i] = 1
        model.get_layer(f"conv{stage}_block1_2_gconv").set_weights([kernel])
    return model


def qubvel_network(groups=32):
    """qubvel's ResNeXt with one block a stage: slices, a 3x3 for each, and a batch norm on the images."""
    x = inputs = keras.Input((32, 32, 3))

    def norm(x, name, **options):
        return layers.BatchNormalization(epsilon=2e-5, name=name, **options)(x)

    x = norm(x, "bn_data", scale=False)
    x = layers.Conv2D(64, 7, 2, use_bias=False, name="conv0")(layers.ZeroPadding2D(3)(x))
    x = layers.MaxPooling2D(3, 2)(layers.ZeroPadding2D(1)(layers.ReLU()(norm(x, "bn0"))))
    number = 0
    for stage, filters in enumerate((128, 256, 512, 1024), 1):
        name, strides = f"stage{stage}_unit1", 1 if stage == 1 else 2
        y = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_conv1")(x)
        y = layers.ZeroPadding2D(1)(layers.ReLU()(norm(y, f"{name}_bn1")))
        paths = []
        for path in keras.ops.split(y, groups, axis=-1):
            number += 1
            paths.append(layers.Conv2D(filters // groups, 3, strides, use_bias=False, name=f"conv2d_{number}")(path))
        y = layers.ReLU()(norm(layers.Concatenate()(paths), f"{name}_bn2"))
        y = norm(layers.Conv2D(2 * filters, 1, use_bias=False, name=f"{name}_conv3")(y), f"{name}_bn3")
        shortcut = layers.Conv2D(2 * filters, 1, strides, use_bias=False, name=f"{name}_sc")(x)
        x = layers.ReLU()(layers.Add()([y, norm(shortcut, f"{name}_sc_bn")]))
    return keras.Model(inputs, layers.Dense(10, name="fc1")(layers.GlobalAveragePooling2D()(x)))


def write_h5(model, path, prefix=""):
    """As Keras 2 saved weights: a group for each layer, and in it the weights by their full names."""
    with h5py.File(path, "w") as file:
        for layer in model.layers:
            for weight in layer.weights:
                word = "depthwise_kernel" if isinstance(layer, layers.DepthwiseConv2D) else weight.name
                name = f"{prefix}{layer.name}/{layer.name}/{word}:0"
                file.create_dataset(name, data=keras.ops.convert_to_numpy(weight))


def randomise(model):
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            values = [array(f"{layer.name}.{weight.name}", tuple(weight.shape)) for weight in layer.weights]
            values = [v + 0.5 if "var" in w.name else v for v, w in zip(values, layer.weights, strict=True)]
            layer.set_weights(values)


@pytest.mark.parametrize("prefix", ["", "model_weights/"])
def test_files_of_keras_applications(tmp_path, prefix):
    old = keras_applications_network()
    randomise(old)
    write_h5(old, tmp_path / "old.h5", prefix)
    new = network(tmp_path / "old.h5", Variant((1, 1, 1, 1), 32, 4))
    expected = computed(old, images())
    np.testing.assert_allclose(computed(new, images()), expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    assert convert(tmp_path / "old.h5", tmp_path / "new.safetensors").variant == get_variant("resnext14_32x4d")


def test_files_of_qubvel(tmp_path):
    old = qubvel_network()
    randomise(old)
    beta, mean, variance = [0.1, -0.2, 0.0], [123.0, 116.0, 104.0], [3300.0, 3200.0, 3400.0]
    old.get_layer("bn_data").set_weights([np.array(values, np.float32) for values in (beta, mean, variance)])
    write_h5(old, tmp_path / "old.h5")
    pictures = np.random.default_rng(1).integers(0, 256, (2, 32, 32, 3)).astype("float32")
    expected = computed(old, pictures)
    for path in (tmp_path / "old.h5", convert(tmp_path / "old.h5", tmp_path / "new.safetensors").path):
        new = network(path, Variant((1, 1, 1, 1), 32, 4))
        ours = computed(new, preprocess_input(pictures, preprocessing=new.preprocessing))
        np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
        assert 0.4 < new.preprocessing.mean[0] < 0.5
