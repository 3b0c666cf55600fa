"""Batch norm folded into the convolutions: fewer layers, the same outputs."""

import dataclasses

import keras
import numpy as np
import pytest

from resnext import ResNeXt, fold, lineage
from resnext.layers.batch_norm import BatchNorm
from resnext.layers.convolution import GroupedConv2D
from resnext.model.blocks import FORMS
from resnext.variants.names import get_variant
from support.networks import computed

VARIANT = get_variant("resnext11_4x4d")


def shaken(model):
    """Statistics, scales and offsets that are not the initial ones."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            shape = layer.gamma.shape
            layer.set_weights([rng.uniform(0.5, 1.5, shape), *rng.normal(size=(2, *shape)), rng.uniform(0.5, 2, shape)])
    return model


def check(model, images):
    folded = fold(model)
    expected, given = computed(model, images), computed(folded, images)
    assert np.abs(given - expected).max() < 1e-5 * np.abs(expected).max()
    return [layer for layer in folded.layers if isinstance(layer, keras.layers.BatchNormalization)]


def images(*shape):
    return np.random.default_rng(1).normal(size=shape).astype("float32")


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_same_without_batch_norm(form):
    network = shaken(ResNeXt(VARIANT, input_shape=(32, 32, 3), classes=5, classifier_activation=None, form=form))
    before = network.get_weights()
    assert check(network, images(2, 32, 32, 3)) == []
    assert all(np.array_equal(old, new) for old, new in zip(before, network.get_weights(), strict=True))


@pytest.mark.parametrize("shortcut", ["A", "B", "C", "none"])
def test_every_shortcut_folds(shortcut):
    network = ResNeXt(dataclasses.replace(VARIANT, shortcut=shortcut), include_top=False, input_shape=(32, 32, 3))
    assert check(shaken(network), images(2, 32, 32, 3)) == []


def test_channels_first_folds():
    from resnext.model.classifier import keras_config

    with keras_config("float32", "channels_first"):
        network = shaken(ResNeXt(VARIANT, input_shape=(3, 32, 32), classes=5, classifier_activation=None))
        assert check(network, images(2, 3, 32, 32)) == []


def test_convolutions_with_a_bias_and_keras_layers_fold():
    inputs = keras.Input((8, 8, 4))
    x = keras.layers.Conv2D(6, 3, padding="same", name="with_bias")(inputs)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization(name="after_bias")(x))
    x = keras.layers.Conv2D(4, 3, strides=2, use_bias=False, groups=2, name="without_bias")(x)
    model = keras.Model(inputs, keras.layers.BatchNormalization(scale=False, center=False, name="after_none")(x))
    model.get_layer("with_bias").set_weights([images(3, 3, 4, 6), images(6)])
    rng = np.random.default_rng(2)
    model.get_layer("after_bias").set_weights(rng.uniform(0.5, 2, (4, 6)))
    model.get_layer("after_none").set_weights(rng.uniform(0.5, 2, (2, 4)))
    assert check(model, images(2, 8, 8, 4)) == []


@pytest.mark.once
def test_the_network_of_the_seed_folds():
    network = shaken(lineage.resnext50_wenga((32, 32, 3), 10))
    assert check(network, images(2, 32, 32, 3)) == []


def test_half_precision_keeps_its_policy():
    from resnext.model.classifier import keras_config

    with keras_config("mixed_bfloat16"):
        network = shaken(ResNeXt(VARIANT, input_shape=(32, 32, 3), classes=5))
        folded = fold(network)
    assert folded.get_layer("stem_conv").compute_dtype == "bfloat16"
    x = images(2, 32, 32, 3)
    expected, given = computed(network, x), computed(folded, x)
    np.testing.assert_allclose(given, expected, atol=0.03)


def test_what_does_not_follow_a_convolution_alone_stays():
    inputs = keras.Input((8, 8, 3))
    shared = keras.layers.Conv2D(4, 3, name="shared")(inputs)
    activated = keras.layers.Conv2D(4, 3, activation="relu", name="activated")(inputs)
    norms = [keras.layers.BatchNormalization(name=f"norm{i}") for i in range(3)]
    outputs = [shared, norms[0](shared), norms[1](activated), norms[2](inputs)]
    left = check_all(shaken(keras.Model(inputs, outputs)))
    assert {layer.name for layer in left} == {"norm0", "norm1", "norm2"}


def test_layers_that_are_used_twice_stay():
    inputs, others = keras.Input((8, 8, 4)), keras.Input((8, 8, 4))
    norm = keras.layers.BatchNormalization(name="norm")
    convolutions = [keras.layers.Conv2D(4, 3, name=name) for name in "ab"]
    outputs = [norm(layer(x)) for layer, x in zip(convolutions, (inputs, others), strict=True)]
    model = shaken(keras.Model([inputs, others], outputs))
    x = list(images(2, 2, 8, 8, 4))
    for expected, given in zip(computed(model, x), computed(fold(model), x), strict=True):
        np.testing.assert_allclose(given, expected, rtol=1e-5, atol=1e-6)


def test_what_would_not_be_the_same_stays():
    inputs = keras.Input((8, 8, 8))
    same = {"padding": "same"}
    by_name = BatchNorm(name="by_name")(keras.layers.Conv2D(8, 3, **same)(inputs), addend=inputs)
    other_axis = keras.layers.BatchNormalization(axis=1, name="axis")(keras.layers.Conv2D(8, 3, **same)(inputs))
    added = GroupedConv2D(8, 3, **same)(inputs, inputs)
    after_addend = keras.layers.BatchNormalization(name="added")(added)
    half = keras.layers.Conv2D(8, 3, dtype="mixed_bfloat16", **same)(inputs)
    other_dtype = keras.layers.BatchNormalization(name="dtype", dtype="float32")(half)
    left = check_all(shaken(keras.Model(inputs, [by_name, other_axis, after_addend, other_dtype])), 8)
    assert {layer.name for layer in left} == {"by_name", "axis", "added", "dtype"}


def check_all(model, channels=3):
    folded, x = fold(model), images(2, 8, 8, channels)
    for expected, given in zip(computed(model, x), computed(folded, x), strict=True):
        np.testing.assert_allclose(given, expected, rtol=1e-4, atol=1e-5)
    return [layer for layer in folded.layers if isinstance(layer, keras.layers.BatchNormalization)]


def test_only_functional_models_fold():
    class Subclassed(keras.Model):
        pass

    with pytest.raises(ValueError, match=r"`model` must be a functional model.*Received: Subclassed 'other'"):
        fold(Subclassed(name="other"))


def test_a_network_inside_somebodys_model_is_folded():
    """As transfer learning has it: around the network something of one's own."""
    inputs = keras.Input((32, 32, 3))
    network = shaken(ResNeXt(VARIANT, include_top=False, input_shape=(32, 32, 3)))
    pooled = keras.layers.GlobalAveragePooling2D()(network(keras.layers.Rescaling(2.0)(inputs), training=False))
    around = keras.Model(inputs, keras.layers.Dense(3)(pooled))
    assert check(around, images(2, 32, 32, 3)) == []
    in_a_row = keras.Sequential([keras.Input((32, 32, 3)), network, keras.layers.GlobalAveragePooling2D()])
    assert check(in_a_row, images(2, 32, 32, 3)) == []
    (inside,) = [layer for layer in fold(around).layers if isinstance(layer, keras.Model)]
    assert not [layer for layer in inside.layers if isinstance(layer, keras.layers.BatchNormalization)]
