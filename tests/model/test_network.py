"""ResNeXt(...): what its arguments mean, and that every network saves, loads and computes in every dtype."""

import dataclasses
import functools
from pathlib import Path

import keras
import numpy as np
import pytest

from resnext.images.preprocessing import Preprocessing, preprocess_input
from resnext.model.blocks import FORMS
from resnext.model.classifier import image_classifier, image_network, keras_config
from resnext.model.features import Backbone
from resnext.model.forms import to_form
from resnext.model.network import ResNeXt, ResNeXtModel
from resnext.recipes.recipe import DTYPES
from support.networks import computed

BACKEND = keras.backend.backend()
SMALL = "resnext14_4x4d"
TINY = "resnext11_2x4d"


def run(model, x):
    return computed(model, x).astype("float32")


def images(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def test_defaults_are_those_of_keras_applications():
    network = ResNeXt("resnext50_32x4d")
    assert network.name == "resnext50_32x4d"
    assert network.input_shape == (None, 224, 224, 3)
    assert network.output_shape == (None, 1000)
    assert network.count_params() == 25_097_128
    assert network.layers[-1].activation is keras.activations.softmax


def test_cifar_networks_take_their_own_size():
    assert ResNeXt("resnext11_2x4d").input_shape == (None, 32, 32, 3)


def test_classifier():
    probabilities = run(ResNeXt(SMALL, input_shape=(32, 32, 3), classes=7), images(2, 32, 32, 3))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    logits = ResNeXt(SMALL, input_shape=(32, 32, 3), classes=7, classifier_activation=None)
    assert run(logits, images(2, 32, 32, 3)).min() < 0


def test_without_the_top():
    x = images(2, 64, 96, 3)
    features = ResNeXt(SMALL, include_top=False)
    assert features.input_shape == (None, None, None, 3)
    maps = run(features, x)
    assert maps.shape == (2, 2, 3, 2048)
    for pooling, pool in (("avg", np.mean), ("max", np.max)):
        pooled = ResNeXt(SMALL, include_top=False, pooling=pooling)
        pooled.set_weights(features.get_weights())
        np.testing.assert_allclose(run(pooled, x), pool(maps, axis=(1, 2)), rtol=1e-4, atol=1e-5)


def test_one_network_takes_images_of_any_size():
    network = ResNeXt(SMALL, input_shape=(None, None, 3), classes=4)
    for shape in ((1, 32, 32, 3), (2, 33, 57, 3), (1, 1, 1, 3)):
        assert run(network, images(*shape)).shape == (shape[0], 4)


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_any_number_of_input_channels(channels):
    network = ResNeXt(SMALL, input_shape=(32, 32, channels), classes=4)
    assert run(network, images(1, 32, 32, channels)).shape == (1, 4)


def test_input_tensor_is_used():
    x = keras.Input((32, 32, 3))
    network = ResNeXt(SMALL, input_tensor=keras.layers.Rescaling(2.0)(x), classes=4)
    plain = ResNeXt(SMALL, input_shape=(32, 32, 3), classes=4)
    plain.set_weights(network.get_weights())
    one = images(1, 32, 32, 3)
    np.testing.assert_allclose(run(network, one), run(plain, 2 * one), rtol=1e-4)
    np.testing.assert_allclose(run(to_form(network, "b"), one), run(network, one), rtol=1e-4)


def test_name():
    assert ResNeXt(SMALL, name="mine").name == "mine"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"form": "d"}, "`form` must be one of 'a', 'b', 'c', 'sliced'. Received: 'd'"),
        ({"include_top": False, "pooling": "sum"}, "`pooling` must be one of None, 'avg', 'max'. Received: 'sum'"),
        ({"pooling": "avg"}, "`pooling` is for include_top=False. Received: pooling='avg'"),
        ({"input_shape": (32, 32)}, r"`input_shape` must be \(height, width, channels\).*Received: \(32, 32\)"),
        ({"input_shape": (32, 32, None)}, "only height and width may be None"),
        ({"input_shape": (32, 32, 0)}, r"may be None. Received: \(32, 32, 0\)"),
        ({"classes": "ten"}, "`classes` must be a whole number, at least 1. Received: 'ten'"),
        ({"classes": 0}, "`classes` must be a whole number, at least 1. Received: 0"),
    ],
)
def test_wrong_arguments_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        ResNeXt(SMALL, **arguments)


@pytest.mark.parametrize(
    ("form", "shortcut"),
    [
        pytest.param(form, shortcut, marks=[] if (form, shortcut) == ("c", "B") else pytest.mark.once)
        for form in FORMS
        for shortcut in ("A", "B", "C", "none")
    ],
)
def test_saves_and_loads_in_safe_mode_with_equal_outputs(tmp_path, form, shortcut):
    """Every pair on one backend, for Keras saves alike on all of them."""
    from resnext.variants.variant import Variant

    variant = Variant((1, 2, 1), 2, 4, shortcut=shortcut)
    network = ResNeXt(variant, input_shape=(16, 16, 3), classes=4, form=form)
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras", safe_mode=True)
    x = images(2, 16, 16, 3)
    np.testing.assert_array_equal(run(loaded, x), run(network, x))
    assert (loaded.variant, loaded.form) == (dataclasses.replace(variant, sliced=form == "sliced"), form)
    assert not any("lambda" in type(layer).__name__.lower() for layer in loaded.layers)
    if form == "c":
        np.testing.assert_allclose(run(to_form(loaded, "b"), x), run(network, x), rtol=1e-4)


def test_channels_first_is_the_same_network():
    last = ResNeXt(TINY, input_shape=(16, 20, 3), classes=4)
    with keras_config("float32", "channels_first"):
        first = ResNeXt(TINY, input_shape=(3, 16, 20), classes=4)
        assert ResNeXt(SMALL).input_shape == (None, 3, 224, 224)
        with pytest.raises(ValueError, match=r"must be \(channels, height, width\)"):
            ResNeXt(SMALL, input_shape=(None, 32, 32))
    assert keras.config.image_data_format() == "channels_last"
    first.set_weights(last.get_weights())
    x = images(2, 16, 20, 3)
    np.testing.assert_allclose(run(first, np.moveaxis(x, -1, 1)), run(last, x), rtol=1e-4, atol=1e-5)
    for form in "ab":
        np.testing.assert_allclose(run(to_form(first, form), np.moveaxis(x, -1, 1)), run(last, x), rtol=1e-4, atol=1e-5)
    first.compile("sgd", "sparse_categorical_crossentropy")
    assert np.isfinite(first.train_on_batch(np.moveaxis(x, -1, 1), np.array([0, 1])))


@functools.cache
def in_float32():
    """The weights of a network, and its probabilities of four images."""
    keras.utils.set_random_seed(0)
    network = ResNeXt(TINY, input_shape=(32, 32, 3), classes=4)
    return network.get_weights(), run(network, images(4, 32, 32, 3))


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_float_policy_trains_and_predicts(dtype):
    if BACKEND == "jax" and dtype == "float64":
        pytest.skip("JAX has float64 only under jax_enable_x64, and Keras computes in float32 there")
    weights, expected = in_float32()
    with keras_config(dtype):
        network = ResNeXt(TINY, input_shape=(32, 32, 3), classes=4)
        other = to_form(network, "b")
    assert other.get_layer("stem_conv").dtype_policy.name == dtype
    assert network.output.dtype == ("float64" if dtype == "float64" else "float32")
    network.set_weights(weights)
    x = images(4, 32, 32, 3)
    tolerance = {"float32": 1e-6, "float64": 1e-4}.get(dtype, 0.05)
    np.testing.assert_allclose(run(network, x), expected, atol=tolerance)
    network.compile("sgd", "sparse_categorical_crossentropy")
    before = network.get_weights()
    for _ in range(6 if dtype == "mixed_float16" else 1):  # its first steps are skipped until the loss scale fits
        assert np.isfinite(float(network.train_on_batch(x, np.arange(4))))
    moved = [not np.array_equal(a, b) for a, b in zip(before, network.get_weights(), strict=True)]
    assert sum(moved) > len(moved) / 2


def test_image_classifier_normalises_in_its_graph():
    preprocessing = Preprocessing(32, 32)
    network = image_network(SMALL, 4, preprocessing)
    classifier = image_classifier(network, preprocessing)
    x = np.random.default_rng(1).integers(0, 256, (2, 32, 32, 3), np.uint8)
    expected = run(network, preprocess_input(x.astype("float32")))
    np.testing.assert_allclose(run(classifier, x), expected, rtol=1e-4, atol=1e-4)


def test_trains_with_plain_keras():
    """A step of gradient descent lowers the loss, at the route that compile() chooses."""
    keras.utils.set_random_seed(1)
    network = ResNeXt("resnext11_8x4d", input_shape=(16, 16, 3), classes=3)
    network.compile(keras.optimizers.SGD(0.01, momentum=0.9), "sparse_categorical_crossentropy")
    x, y = images(8, 16, 16, 3), np.arange(8) % 3
    losses = [float(network.train_on_batch(x, y)) for _ in range(6)]
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float16", "float32", "bfloat16", "float64"])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_preprocess_input_takes_arrays_and_tensors(dtype, data_format):
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3))
    expected = (images / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    if data_format == "channels_first":
        images, expected = np.moveaxis(images, -1, 1), np.moveaxis(expected, -1, 1)
    tensor = keras.ops.cast(images, dtype)
    inputs = [tensor] if dtype == "bfloat16" else [tensor, images.astype(dtype)]
    for given in inputs:
        normalised = preprocess_input(given, data_format)
        assert isinstance(normalised, np.ndarray) == isinstance(given, np.ndarray)
        kept = keras.backend.standardize_dtype(given.dtype)
        assert keras.backend.standardize_dtype(normalised.dtype) == (kept if "float" in kept else "float32")
        values = keras.ops.convert_to_numpy(keras.ops.cast(normalised, "float32"))
        np.testing.assert_allclose(values, expected, atol=0.03 if "16" in kept else 1e-5)


def test_preprocess_input_follows_the_layout_of_keras_and_refuses_others():
    images = np.zeros((2, 3, 4, 5), np.uint8)
    with keras_config("float32", "channels_first"):
        np.testing.assert_array_equal(preprocess_input(images), preprocess_input(images, "channels_first"))
    symbolic = preprocess_input(keras.Input((4, 5, 3), dtype="uint8"))
    assert (symbolic.shape, symbolic.dtype) == ((None, 4, 5, 3), "float32")
    for shape in ((2, 3, 4, 5), (3,), (4, 5), (4, 5, 2)):
        with pytest.raises(ValueError, match=r"`images` must have 1 or 3 channels, channels_last. Received: shape \("):
            preprocess_input(np.zeros(shape), "channels_last")
    with pytest.raises(
        ValueError, match=r"^`data_format` must be one of channels_last, channels_first. Received: 'N'$"
    ):
        preprocess_input(images, "N")


def test_files_saved_when_the_package_was_flat_still_load():
    """Made on TensorFlow by `model.save` of what was `resnext.model`; they name its modules."""
    golden = Path(__file__).parents[1] / "golden"
    network = keras.saving.load_model(golden / "before-the-folders.keras")
    assert (type(network), network.variant.name) == (ResNeXtModel, "resnext14_2x4d")
    backbone = keras.saving.load_model(golden / "before-the-folders-backbone.keras")
    assert isinstance(backbone, Backbone)
    assert [level.stage for level in backbone.pyramid] == [1, 2]
    x = np.linspace(-1, 1, 32 * 32 * 3, dtype="float32").reshape(1, 32, 32, 3)
    maps = computed(backbone, x)
    np.testing.assert_allclose([each.mean() for each in maps], [0.056017, 0.037090], rtol=1e-3)
    np.testing.assert_allclose([each.max() for each in maps], [0.511124, 0.441292], rtol=1e-3)
