"""The two networks this library descends from: golden counts, and that each path has its own slice."""

import functools
import math

import keras
import numpy as np
import pytest

from resnext import lineage
from resnext.errors import ArgumentError
from resnext.lineage import resnext29_taki, resnext50_wenga
from support.networks import computed

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
    whole = network.get_layer("stage3_block1_relu").output
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
    (after,) = [node.operation.name for node in network.get_layer("stage3_block2_transition_norm")._outbound_nodes]
    assert after == "stage3_block2_transition_relu"


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
    with pytest.raises(ArgumentError, match=r"`block` must be a letter from a to z. Received: 'ab'"):
        lineage.transition(inputs, 8, stage=2, block="ab")


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
    assert inputs == {id(network.get_layer("stage2_block1_relu").output)}
    ends = [network.get_layer("stage2_block3_relu").output, network.get_layer("stage3_block1_add").input[1]]
    x = np.random.default_rng(1).normal(size=(1, 32, 32, 3)).astype("float32")
    before, padded = computed(keras.Model(network.input, ends), x)
    assert padded.shape == (1, 16, 16, 128)
    assert not padded[..., :32].any()
    assert not padded[..., 96:].any()
    pooled = before.reshape(1, 16, 2, 16, 2, 64).mean(axis=(2, 4))
    np.testing.assert_allclose(padded[..., 32:96], pooled, rtol=1e-5, atol=1e-6)


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
