"""Weights from every kind of file that people have, and how `ResNeXt` takes them."""

import dataclasses
import warnings

import h5py
import keras
import numpy as np
import pytest
from conftest import computed, logged, refusal, resnext
from golden.formula import array
from keras import layers
from safetensors.numpy import load_file, save_file

from resnext import convert, decode_predictions, list_weights, load_weights, preprocess_input, save_weights
from resnext.errors import WeightsError
from resnext.model.network import ResNeXt
from resnext.variants.layer_table import variant_shapes
from resnext.variants.names import get_variant
from resnext.variants.variant import Variant
from resnext.weights.foreign_names import their_shape, torch_layout
from resnext.weights.published import NON_COMMERCIAL, default_weights, published_weights
from resnext.weights.variables import get_weights

SMALL = "resnext14_4x4d"
LAYOUT = torch_layout(deep_stem=False, bottleneck=True, averaged_shortcut=False)


def torch_weights(variant=SMALL, classes=10, channels=3) -> dict[str, np.ndarray]:
    """As torchvision and timm would save them, without the counters."""
    shapes = variant_shapes(get_variant(variant), channels, classes)
    theirs = {LAYOUT.their_name(name): their_shape(shape, LAYOUT) for name, shape in shapes.items()}
    return {name: array(name, shape) for name, shape in theirs.items()}


def network(weights=None, variant=SMALL, classes=10, **arguments):
    arguments = {"input_shape": (32, 32, 3), "classifier_activation": None, **arguments}
    return ResNeXt(variant, weights=weights, classes=classes, **arguments)


def images(channels=3):
    return np.random.default_rng(0).normal(size=(2, 32, 32, channels)).astype("float32")


@pytest.fixture
def theirs(tmp_path):
    save_file(torch_weights(), tmp_path / "theirs.safetensors")
    return tmp_path / "theirs.safetensors"


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
    with logged(caplog, "has 10 classes, the network 7: its head is new, and untrained.$"):
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


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Hugging Face's local cache with one repository, and no network."""
    constants = pytest.importorskip("huggingface_hub.constants", reason="the hub extra is not installed")
    folder = tmp_path / "hub" / "models--timm--resnext14_4x4d.mine" / "snapshots" / "abc"
    folder.mkdir(parents=True)
    save_file(torch_weights(), folder / "model.safetensors")
    (folder.parent.parent / "refs").mkdir()
    (folder.parent.parent / "refs" / "main").write_text("abc")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path


def test_the_hubs_cache_is_used_without_a_network(cache, theirs):
    expected = get_weights(network(theirs))
    for name, value in get_weights(network("hf:timm/resnext14_4x4d.mine")).items():
        np.testing.assert_array_equal(value, expected[name])


@pytest.mark.once
@pytest.mark.parametrize("source", ["hf:timm/resnext50_32x4d.a1_in1k", "resnext50_32x4d.a1_in1k"])
def test_what_is_not_in_the_cache_is_named_with_its_address(cache, source):
    with pytest.raises(WeightsError) as error:
        network(source, "resnext50_32x4d", classes=None)
    words = str(error.value)
    assert words.startswith("hf:timm/resnext50_32x4d.a1_in1k is not in the local cache and can't be downloaded")
    assert "https://huggingface.co/timm/resnext50_32x4d.a1_in1k/resolve/main/model.safetensors" in words


@pytest.mark.once
def test_wrong_sources_are_named(cache):
    for source, words in {
        "hf:nothing/": "not a repository name",
        "hf:a/b/c": "not a repository name",
        "hf:timm": "^hf:timm: not a repository name. Pass hf:OWNER/NAME, such as hf:timm/resnext50_32x4d.a1_in1k.$",
        "none.safetensors": "^none.safetensors: no such weights file.$",
        "resnext50_32x4d.none": "no published weights of that name; those of this network: resnext50_32x4d.a1_in1k, ",
        "nonsense": "no published weights of that name; `resnext list --weights` shows them.$",
        "resnext101_32x8d.tv_in1k": "these are weights of resnext101_32x8d, and the network is resnext14_4x4d. "
        "Use the variant resnext101_32x8d, or other weights.$",
    }.items():
        with pytest.raises(WeightsError, match=words):
            network(source)
    with pytest.raises(WeightsError, match=r"is on no hub: download https://download.pytorch.org/models/ig_"):
        network("resnext101_32x48d.fb_wsl_ig1b_ft_in1k", "resnext101_32x48d")
    with pytest.raises(
        WeightsError, match=r"a folder without best.safetensors, .* Pass a file of weights, a run folder, or"
    ):
        network(cache)
    with pytest.raises(ValueError, match=r"`classifier_activation` must be one of None, 'softmax'. Received: 'relu'"):
        network("imagenet", classifier_activation="relu")
    with pytest.raises(ValueError, match="weights='imagenet': no weights of resnext14_4x4d are published"):
        network("imagenet")


@pytest.mark.once
def test_the_hub_extra_is_named_where_it_lacks(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=r"needs the package huggingface-hub: pip install 'resnext\[hub\]'$"):
        network("hf:timm/resnext50_32x4d.a1_in1k", "resnext50_32x4d")


@pytest.mark.once
def test_licences_are_said_once(cache, caplog):
    folder = cache / "hub" / "models--timm--resnext14_4x4d.mine"
    folder.rename(cache / "hub" / "models--timm--resnext50_32x4d.fb_ssl_yfcc100m_ft_in1k")
    for _ in range(2):
        with pytest.raises(
            WeightsError, match="these are weights of resnext14_4x4d, and the network is resnext50_32x4d"
        ):
            network("resnext50_32x4d.fb_ssl_yfcc100m_ft_in1k", "resnext50_32x4d")
    words = "the weights resnext50_32x4d.fb_ssl_yfcc100m_ft_in1k are for non-commercial use only (Creative Commons"
    assert caplog.text.count(words) == 1
    ours = cache / "ours.safetensors"
    tag = "resnext50_32x4d.fb_swsl_ig1b_ft_in1k"
    save_file(get_weights(network()), ours, metadata={"format": "resnext", "weights": tag})
    network(ours)
    assert f"the weights {tag} are for non-commercial use only" in caplog.text


@pytest.mark.once
def test_published_facts_are_whole():
    for tag, entry in published_weights().items():
        assert get_variant(entry.variant).name == entry.variant, tag
        assert entry.hub or entry.url
        assert entry.licence in {"apache-2.0", "bsd-3-clause", "unstated", *NON_COMMERCIAL}
        assert [a.preprocessing.size for a in entry.accuracies] == sorted(
            a.preprocessing.size for a in entry.accuracies
        )
        assert all(50 < (a.top1 or 80) < (a.top5 or 95) < 100 for a in entry.accuracies)
    assert list_weights("resnext101_32x32d*") == ["resnext101_32x32d.fb_wsl_ig1b_ft_in1k"]
    assert default_weights("resnext50_32x4d") == "resnext50_32x4d.a1_in1k"


def test_decode_predictions_names_classes():
    probabilities = np.zeros((2, 1000), np.float32)
    probabilities[0, [3, 999]] = 0.7, 0.3
    probabilities[1, 1] = 1
    (first, second), (third, _) = decode_predictions(keras.ops.convert_to_tensor(probabilities), top=2)
    assert (first.wordnet_id, first.name, round(first.probability, 3)) == ("n01491361", "tiger shark", 0.7)
    assert (second.name, third.name) == ("toilet tissue", "goldfish")
    for arguments, words in [
        (
            {"preds": np.zeros((1, 10))},
            r"`preds` must be \(batch, 1000\), ImageNet-1K's classes. Received: shape \(1, 10\)",
        ),
        ({"preds": probabilities, "top": 0}, "`top` must be from 1 to 1000. Received: 0"),
        (
            {"preds": probabilities, "weights": "resnet50.typo"},
            "must be a tag that .* shows. Received: 'resnet50.typo'",
        ),
        (
            {"preds": probabilities, "weights": "hf:timm/seresnextaa101d_32x8d.sw_in12k"},
            "knows 11,821 classes of ImageNet-12K",
        ),
    ]:
        with pytest.raises(ValueError, match=words):
            decode_predictions(**arguments)


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
        ("cifar", "x.safetensors", "timm", r"timm has no resnext11_4x4d \(cifar, .*\). Allowed: --to resnext.$"),
        ("se", "x.safetensors", "torchvision", r"no seresnext14_4x4d \(.* se, .*Allowed: --to resnext, --to timm.$"),
        ("silu", "x.safetensors", "torchvision", r"no resnext14_4x4d \(.* silu\). Allowed: --to resnext, --to timm.$"),
        ("narrow", "x.safetensors", "torchvision", r"\(imagenet, \(32,\), .*\). Allowed: --to resnext.$"),
        ("ceil", "x.safetensors", "timm", r"timm has no legacy_resnext14_4x4d .* Allowed: --to resnext.$"),
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
    with pytest.raises(WeightsError, match="the shapes of its tensors are those of no network that resnext knows"):
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


@pytest.mark.once
def test_the_commands_show_published_weights():
    table = resnext("list", "--weights", "resnext50*").stdout
    assert "resnext50_32x4d.a1_in1k" in table
    assert "cc-by-nc-4.0" in table
    text = resnext("info", "resnext101_32x8d.fb_wsl_ig1b_ft_in1k").stdout
    for words in ("88,791,336", "NonCommercial", "ig_resnext101_32x8-c38310e5.pth", "top-1 82.72 %", "resize 256"):
        assert words in text
    nothing = resnext("list", "--weights", "x*")
    assert refusal(nothing) == "no published weights match 'x*': `resnext list --weights` shows all of them"
