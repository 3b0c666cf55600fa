"""The two networks this library descends from: golden counts, and that each path has its own slice."""

import dataclasses
import functools
import math

import keras
import numpy as np
import pytest
from keras import layers

from resnext import ResNeXt, backbone, complexity, convert, lineage, save_weights, to_form
from resnext.errors import ArgumentError, WeightsError
from resnext.images.preprocessing import Preprocessing
from resnext.inference.model import Model
from resnext.lineage import resnext29_taki, resnext50_wenga
from resnext.model.classifier import head_weights, image_classifier, image_network
from resnext.variants.names import get_variant, list_variants
from resnext.variants.variant import Variant
from support.command import resnext
from support.networks import computed, with_random_statistics

wenga = functools.cache(resnext50_wenga)  # no test but the last changes a network
taki = functools.cache(resnext29_taki)


def trainable(network):
    return sum(math.prod(weight.shape) for weight in network.trainable_weights)


@pytest.mark.parametrize(
    ("input_shape", "classes", "total", "learned"),
    [((224, 224, 3), 2, 26_507_010, 26_438_786), ((32, 32, 3), 10, 26_511_114, 26_442_890)],
)
def test_wenga_has_the_parameters_of_the_seed(input_shape, classes, total, learned):
    network = wenga(input_shape, classes)
    assert (network.count_params(), trainable(network)) == (total, learned)


def test_wenga_has_the_sizes_of_the_seed():
    network = wenga((224, 224, 3), 2)
    sizes = [network.get_layer(f"stage{stage}_block1_add").output.shape[1] for stage in (2, 3, 4, 5)]
    assert sizes == [28, 14, 7, 4]
    assert network.get_layer("predictions").kernel.shape == (8192, 2)


def test_every_path_of_wenga_sees_its_own_slice():
    """On Keras 3 the seed's Lambda layers gave every path the last slice."""
    network = wenga((32, 32, 3), 10)
    block, slices = "stage3_block2", {}
    for path in range(1, 5):
        layer = network.get_layer(f"{block}_path{path}_transform_1x1_conv")
        slices[path] = layer.input
    whole = network.get_layer("stage3_block1_activation").output
    taken = keras.Model(network.input, [whole, *slices.values()])
    whole, *parts = computed(taken, np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32"))
    assert whole.shape[-1] == 512
    for i, part in enumerate(parts):
        np.testing.assert_array_equal(part, whole[..., 128 * i : 128 * (i + 1)])
    assert len({part.tobytes() for part in parts}) == 4


def test_paths_of_wenga_start_different():
    network = wenga((32, 32, 3), 10)
    kernels = {
        keras.ops.convert_to_numpy(network.get_layer(f"stage2_block2_path{i}_transform_3x3_conv").kernel).tobytes()
        for i in range(1, 5)
    }
    assert len(kernels) == 4


def test_wenga_departs_from_the_paper_as_it_says():
    network = wenga((32, 32, 3), 10)
    assert network.get_layer("stage3_block1_path1_transform_1x1_conv").strides == (2, 2)
    assert network.get_layer("stage3_block1_path1_transform_3x3_conv").strides == (1, 1)
    assert all(layer.use_bias for layer in network.layers if isinstance(layer, keras.layers.Conv2D))
    assert network.get_layer("stage3_block2_transition_norm").activation is keras.activations.relu


def test_the_seeds_functions_make_its_blocks():
    """Step by step as its page does, and by its two blocks: the same shapes and weights."""
    inputs = keras.Input((28, 28, 256))
    groups = lineage.split(inputs, inputs_channels=256, cardinality=4)
    merged = lineage.transform(groups, filters=(64, 64), strides=(2, 2), stage=3, block="a")
    y = lineage.transition(merged, filters=512, stage=3, block="a")
    assert [group.shape for group in groups] == [(None, 28, 28, 64)] * 4
    assert (merged.shape, y.shape) == ((None, 14, 14, 256), (None, 14, 14, 512))
    block = keras.Model(inputs, lineage.downsampling_block(inputs, (256, 256, 512), 4, (2, 2), stage=3, block="a"))
    steps = keras.Model(inputs, y)
    shortcut = 256 * 512 + 512 + 4 * 512
    assert (
        block.count_params()
        == steps.count_params() + shortcut
        == 4 * ((64 * 64 + 64 + 4 * 64) + (9 * 64 * 64 + 64 + 4 * 64)) + (256 * 512 + 512 + 4 * 512) + shortcut
    )
    same = keras.Model(inputs, lineage.identity_block(inputs, (128, 128, 256), cardinality=4, stage=2, block="b"))
    assert same.output.shape == inputs.shape
    assert {layer.name for layer in same.layers} > {"stage2_block2_path4_transform_3x3_conv", "stage2_block2_merge"}


def test_the_seeds_functions_refuse_what_does_not_fit():
    inputs = keras.Input((8, 8, 6))
    for channels, words in (
        (8, r"`inputs_channels` must be the input's, 6. Received: 8"),
        (6, "must divide the channels"),
    ):
        with pytest.raises(ArgumentError, match=words):
            lineage.split(inputs, channels, cardinality=4)
    groups = lineage.split(inputs, cardinality=2)
    assert len(groups) == 2
    for call, words in (
        (lambda: lineage.split(inputs, 6, 0), "`cardinality` must be a whole number, at least 1. Received: 0"),
        (lambda: lineage.split(inputs, 6, 2.0), "`cardinality` must be a whole number, at least 1. Received: 2.0"),
        (lambda: lineage.transition(inputs, 8, stage=2, block="ab"), "`block` must be a letter .* Received: 'ab'"),
        (lambda: lineage.transition(inputs, 8, stage=2, block=1), "`block` must be a letter .* Received: 1"),
        (lambda: lineage.transition(inputs, 8, stage=None, block="a"), "`stage` must be a whole number"),
        (lambda: lineage.transition(inputs, 0, stage=2, block="a"), "`filters` must be a whole number"),
        (lambda: lineage.transform([], (4, 4), 1, 2, "a"), "`groups` must be the tensors that `split` returned"),
        (lambda: lineage.transform(groups, (4, 4, 4), 1, 2, "a"), "`filters` must be 2 whole numbers"),
        (lambda: lineage.identity_block(inputs, (4, 4, 6), 2, 2, "b", strides=(2, 2)), r"must be \(1, 1\)"),
        (lambda: lineage.identity_block(inputs, (5, 5, 6), 2, 2, "b"), "must be multiples of the cardinality, 2"),
        (lambda: lineage.downsampling_block(inputs, (4, 4), 2, 2, 2, "a"), "`filters` must be 3 whole numbers"),
    ):
        with pytest.raises(ArgumentError, match=words):
            call()


def test_the_seeds_own_slices_are_all_the_last_one_on_keras_3():
    """Its `Lambda` layers share the variables of a loop, which Keras 3 reads only when the network runs."""
    inputs, groups = keras.Input((1, 1, 8)), []
    for number in range(4):
        begin, end = 2 * number, 2 * number + 2
        groups.append(keras.layers.Lambda(lambda x: x[..., begin:end])(inputs))  # noqa: B023 - as the seed does
    x = np.arange(8, dtype="float32").reshape(1, 1, 1, 8)
    seeds, ours = (
        computed(keras.Model(inputs, keras.layers.Concatenate()(each)), x).ravel().tolist()
        for each in (groups, lineage.split(inputs, 8, 4))
    )
    assert seeds == [6, 7, 6, 7, 6, 7, 6, 7]
    assert ours == [0, 1, 2, 3, 4, 5, 6, 7]


def test_taki_has_the_parameters_of_its_source():
    network = taki()
    assert trainable(network) == 3_957_696
    assert trainable(taki(100)) == 3_957_696 + 90 * 256


def test_every_path_of_taki_sees_the_whole_input_and_its_shortcut_pads_both_sides():
    network = taki()
    inputs = {id(network.get_layer(f"stage2_block2_path{i}_transform_1x1_conv").input) for i in range(1, 9)}
    assert inputs == {id(network.get_layer("stage2_block1_transition_norm").output)}
    before, after = (network.get_layer(f"{block}_transition_norm") for block in ("stage2_block3", "stage3_block1"))
    ends = [before.output, after.input[1]]
    x = np.random.default_rng(1).normal(size=(1, 32, 32, 3)).astype("float32")
    before, padded = computed(keras.Model(network.input, ends), x)
    assert padded.shape == (1, 16, 16, 128)
    assert not padded[..., :32].any()
    assert not padded[..., 96:].any()
    pooled = before.reshape(1, 16, 2, 16, 2, 64).mean(axis=(2, 4))
    np.testing.assert_allclose(padded[..., 32:96], pooled, rtol=1e-5, atol=1e-6)


def plain_wenga(variant, input_shape, classes):
    """The seed's network from its own functions, with as many blocks and as wide as a variant."""
    inputs = keras.Input(input_shape)
    x = layers.Conv2D(64, 7, 2, name="stem_conv")(layers.ZeroPadding2D(3)(inputs))
    x = layers.MaxPooling2D(3, 2)(layers.ReLU()(layers.BatchNormalization(name="stem_norm")(x)))
    for stage in variant.stages:
        width = variant.cardinality * stage.group_width
        filters = width, width, stage.channels
        x = lineage.downsampling_block(x, filters, variant.cardinality, (2, 2), stage=stage.number, block="a")
        for block in "bcd"[: stage.blocks - 1]:
            x = lineage.identity_block(x, filters, variant.cardinality, stage=stage.number, block=block)
    x = layers.Flatten()(layers.AveragePooling2D(2, padding="same")(x))
    return keras.Model(inputs, layers.Dense(classes, name="predictions")(x))


def plain_taki(variant, input_shape, classes):
    """taki0112's network in plain Keras."""
    inputs = keras.Input(input_shape)
    x = _plain_convolution(inputs, 64, 3, "stem")
    for stage in variant.stages:
        for i in range(1, stage.blocks + 1):
            strides, paths, name = stage.strides if i == 1 else 1, [], f"stage{stage.number}_block{i}"
            for path in range(1, variant.cardinality + 1):
                y = _plain_convolution(x, stage.group_width, 1, f"{name}_path{path}_transform_1x1", strides)
                paths.append(_plain_convolution(y, stage.group_width, 3, f"{name}_path{path}_transform_3x3"))
            y = layers.Concatenate()(paths)
            y = _plain_convolution(y, stage.channels, 1, f"{name}_transition", activation=layers.Identity)
            if strides > 1:
                x = layers.AveragePooling2D(2, 2, "same")(x)
                zeros = stage.channels // 4
                x = keras.ops.pad(x, [(0, 0), (0, 0), (0, 0), (zeros, zeros)])
            x = layers.ReLU()(layers.Add()([y, x]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(classes, use_bias=False, name="predictions")(x))


def _plain_convolution(x, filters, kernel_size, name, strides=1, activation=layers.ReLU):
    x = layers.Conv2D(filters, kernel_size, strides, "same", use_bias=False, name=f"{name}_conv")(x)
    return activation()(layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x))


SMALL = [
    (plain_wenga, Variant((2, 1, 1, 1), 4, 4, sliced=True, lineage="wenga"), (160, 96, 3)),
    (plain_taki, Variant((2, 1, 2), 4, 4, shortcut="A", lineage="taki"), (32, 32, 3)),
]


@pytest.mark.parametrize(("plain", "variant", "input_shape"), SMALL, ids=["wenga", "taki"])
def test_lineage_equals_its_description_in_plain_keras_in_every_form(plain, variant, input_shape):
    network = ResNeXt(variant, input_shape=input_shape, classes=3, classifier_activation=None, form="b")
    theirs = plain(variant, input_shape, 3)
    ours = {f"{layer.name}/{weight.name}": weight for layer in network.layers for weight in layer.weights}
    generator = np.random.default_rng(0)
    for layer in theirs.layers:
        for weight in layer.weights:
            positive = weight.name in ("gamma", "moving_variance")
            values = generator.uniform(0.5, 1.5, weight.shape) if positive else generator.normal(0, 0.2, weight.shape)
            weight.assign(values)
            ours.pop(f"{layer.name}/{weight.name}").assign(values)
    assert not ours
    x = generator.normal(size=(2, *input_shape)).astype("float32")
    expected = computed(theirs, x)
    assert np.ptp(expected, axis=0).min() > 0.01
    for form in "bac":
        np.testing.assert_allclose(computed(to_form(network, form), x), expected, atol=1e-5 * np.abs(expected).max())


def test_lineage_is_built_by_name():
    for name in ("resnext50_wenga", "resnext29_taki", "resnext29_taki-sliced", "resnext50_wenga-shortcut-A"):
        assert get_variant(name).name == name
    assert get_variant("resnext29_taki").name in list_variants()
    assert Variant((3, 4, 6, 3), 8, 16, sliced=True, lineage="wenga").name == "resnext50_8x16d_wenga"
    assert Variant((3, 4, 6, 3), 4, 32, lineage="wenga").name == "resnext50_wenga-unsliced"
    for given in ({"block": "basic"}, {"anti_aliasing": "average"}, {"stem_pool": "ceil"}, {"output_stride": 16}):
        with pytest.raises(ArgumentError, match=rf"`lineage` needs bottleneck blocks .*{next(iter(given.values()))}"):
            Variant((1, 1, 1, 1), 1, 64, lineage="wenga", **given)
    assert [level.stride for level in backbone("resnext50_wenga").pyramid] == [8, 16, 32, 64]
    with pytest.raises(ArgumentError, match=r"`output_stride` can't be chosen for resnext50_wenga\. Received: 32"):
        backbone("resnext50_wenga", output_stride=32)


def test_a_classifier_that_keeps_positions_needs_one_size():
    with pytest.raises(ArgumentError, match="resnext50_wenga: its classifier has weights for each position, so that"):
        ResNeXt("resnext50_wenga", input_shape=(None, None, 3))
    with pytest.raises(ArgumentError, match="resnext50_wenga: its images are 5 pixels wide and high at least"):
        ResNeXt("resnext50_wenga", input_shape=(4, 64, 3))


@pytest.mark.once
@pytest.mark.parametrize(("variant", "size", "maps"), [(SMALL[0][1], 160, (2, 2)), (SMALL[1][1], 32, (8, 8))])
def test_weights_of_lineage_are_opened_explained_and_converted(tmp_path, variant, size, maps):
    path, images = tmp_path / "network.safetensors", Preprocessing(size, size)
    network = with_random_statistics(image_network(variant, 3, images))
    network.class_names = ("a", "b", "c")
    save_weights(network, path)
    model = Model.open(path)
    assert (model.variant, model.classes, model.preprocessing) == (variant, ("a", "b", "c"), images)
    photos = np.random.default_rng(3).integers(0, 256, (2, size, size, 3), np.uint8)
    for name in ("keras", "onnxruntime"):
        (engine,) = model.with_engine(name).engines(outputs=("logits", "maps"))
        outputs = engine.outputs(photos)
        _, bias = head_weights(image_classifier(network, images))
        assert outputs.activation_map(0, 1).shape == maps
        means = [[outputs.activation_map(image, label).mean() for label in range(3)] for image in range(2)]
        np.testing.assert_allclose(means + bias, outputs.logits, rtol=1e-4, atol=1e-4)
    with pytest.raises(ArgumentError, match=rf"timm has no network like {variant.name}: .*Use --to resnext"):
        convert(path, tmp_path / "theirs.safetensors", "timm")
    copy = convert(path, tmp_path / "copy.safetensors")
    assert copy.variant == variant
    assert (tmp_path / "copy.safetensors").read_bytes() == path.read_bytes()
    if maps == (2, 2):
        words = "has a head for images of another size, of 8,192 features, the network of 2,048. Use images of the size"
        with pytest.raises(WeightsError, match=words):
            model.engines([Preprocessing(96, 96)])
    plain = dataclasses.replace(variant, lineage=None)
    with pytest.raises(WeightsError, match=rf"these are weights of {variant.name}, but the network is {plain.name}"):
        ResNeXt(plain, weights=path, input_shape=(size, size, 3), classes=3)


def test_the_cost_of_lineage_is_counted_without_a_network():
    assert complexity("resnext50_wenga", (32, 32, 3), 10).parameters == 26_442_890
    assert complexity("resnext50_wenga", (224, 224, 3), 2).parameters == 26_438_786
    assert complexity("resnext29_taki").parameters == 3_957_696


@pytest.mark.once
def test_commands_know_lineage():
    said = " ".join(resnext("list", "resnext*_*a*").stdout.split())
    assert "resnext50_wenga 34.6 M 1.24 G none recorded resnext29_taki 4.0 M 1.53 G none recorded" in said
    lines = resnext("info", "resnext50_wenga").stdout.splitlines()
    assert any("1x1, 128, C=4; 3x3, 128, C=4; 1x1, 256" in line for line in lines)
    assert any("2x2 average-pool, flattened" in line for line in lines)
    assert {"departs from the paper:", "- each path sees its slice of the input", "- the stride is in the 1x1",
            "- a ReLU before the addition, so that a block can only add"} <= {*lines}  # fmt: skip
    assert "published error: none recorded by its authors" in lines
    assert not any(line.startswith("departs") for line in resnext("info", "resnext29_8x64d").stdout.splitlines())


@pytest.mark.once
@pytest.mark.parametrize("network", [lambda: resnext50_wenga((32, 32, 3), 10), resnext29_taki])
def test_lineage_saves_in_safe_mode_and_learns(tmp_path, network):
    network = network()
    x = np.random.default_rng(2).normal(size=(2, 32, 32, 3)).astype("float32")
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras", safe_mode=True)
    np.testing.assert_array_equal(
        *(keras.ops.convert_to_numpy(model(x, training=False)) for model in (network, loaded))
    )
    network.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)  # compiling takes longer
    assert np.isfinite(float(network.train_on_batch(x, np.array([0, 1]))))
