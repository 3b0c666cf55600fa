"""The paper's claims, each as a test (Xie et al. 2017, https://arxiv.org/abs/1611.05431)."""

import dataclasses

import keras
import numpy as np
import pytest

from resnext.model.blocks import Block, downsampling_block, identity_block, split, split_slices
from resnext.model.classifier import keras_config
from resnext.model.forms import to_form
from resnext.model.network import ResNeXt
from resnext.variants.complexity import complexity, stage_complexities
from resnext.variants.names import get_variant
from resnext.variants.variant import Variant
from resnext.weights.variables import get_weights, set_weights
from support.networks import computed, gradients

SMALL = Variant(blocks=(1, 2, 1), cardinality=3, bottleneck_width=4)
EQUAL_COMPLEXITY = ["1x64d", "2x40d", "4x24d", "8x14d", "32x4d"]


def template_parameters(cardinality, width):
    """Equation 4: C (256 d + 3 3 d d + d 256)."""
    return cardinality * (256 * width + 9 * width * width + width * 256)


def test_equation_4_gives_about_70_thousand_parameters_to_each_row_of_table_2():
    for row in EQUAL_COMPLEXITY:
        cardinality, width = map(int, row[:-1].split("x"))
        block = keras.Model(x := keras.Input((56, 56, 256)), identity_block(x, Block(cardinality, width, 256), "block"))
        kernels = sum(int(np.prod(w.shape)) for w in block.trainable_weights if w.name == "kernel")
        assert kernels == template_parameters(cardinality, width)
        assert abs(kernels - 70_000) < 1_500


@pytest.mark.parametrize(("depth", "giga", "millions"), [(50, 4.1, 25), (101, 7.8, 44)])
def test_rows_of_table_3_have_preserved_complexity(depth, giga, millions):
    for row in EQUAL_COMPLEXITY:
        cost = complexity(f"resnext{depth}_{row}")
        assert abs(cost.multiply_adds / 1e9 - giga) < 0.3
        assert abs(cost.parameters / 1e6 - millions) < 1.2


def test_table_1_counts():
    assert round(complexity("resnet50").parameters / 1e6, 1) in (25.5, 25.6)  # the paper gives 25.5
    assert round(complexity("resnext50_32x4d").parameters / 1e6, 1) == 25.0
    assert round(complexity("resnet50").multiply_adds / 1e9, 1) == 4.1
    assert round(complexity("resnext50_32x4d").multiply_adds / 1e9, 1) == 4.2


def test_table_4_doubles_the_complexity():
    base = complexity("resnext101_32x4d").multiply_adds
    for name in ("resnext101_1x100d", "resnext101_2x64d", "resnext101_64x4d"):
        assert 1.85 < complexity(name).multiply_adds / base < 2.0


def test_table_7_sizes():
    assert round(complexity("resnext29_8x64d").parameters / 1e6, 1) == 34.4
    assert abs(complexity("resnext29_16x64d").parameters / 1e6 - 68.1) < 0.1


def test_stage_shapes_of_table_1():
    network = ResNeXt("resnext50_32x4d", include_top=False, input_shape=(224, 224, 3))
    assert network.get_layer("stem_conv").output.shape[1:] == (112, 112, 64)
    for row, blocks in zip(stage_complexities("resnext50_32x4d")[1:], (3, 4, 6, 3), strict=True):
        for block in range(1, blocks + 1):
            output = network.get_layer(f"stage{row.number}_block{block}_transition_norm").output
            assert output.shape[1:] == (row.height, row.width, row.channels)
        assert f"stage{row.number}_block{blocks + 1}_transition_norm" not in {layer.name for layer in network.layers}


def _forms(dtype):
    """A network in form c with statistics and scales that are not the initial ones, and itself in a and b."""
    rng = np.random.default_rng(5)
    keras.utils.set_random_seed(5)
    network = ResNeXt(SMALL, input_shape=(12, 12, 3), classes=5, classifier_activation=None)
    weights = get_weights(network)
    for name, array in weights.items():
        if "_norm/" in name:
            weights[name] = (rng.uniform(0.5, 1.5, array.shape)).astype(dtype)
    set_weights(network, weights)
    return {"c": network, "b": to_form(network, "b"), "a": to_form(network, "a")}


def _check_forms_are_equal(dtype, **tolerance):
    rng = np.random.default_rng(6)
    images = rng.normal(size=(4, 12, 12, 3)).astype(dtype)
    targets = rng.normal(size=(4, 5)).astype(dtype)
    networks = _forms(dtype)
    expected = computed(networks["c"], images)
    for form in "ab":
        np.testing.assert_allclose(computed(networks[form], images), expected, **tolerance)
    moved = _check_gradients_are_equal(networks, images, targets, tolerance)
    assert moved["stem_norm/moving_mean"]  # that was training mode
    for network in networks.values():
        for layer in network.layers:
            layer.trainable = not layer.name.endswith("_norm")  # batch norm in inference mode
    moved = _check_gradients_are_equal(networks, images, targets, tolerance)
    assert not any(moved.values())


def _check_gradients_are_equal(networks, images, targets, tolerance) -> dict[str, bool]:
    """Also that the moving statistics move alike; tells which of them moved.

    So do the outputs in training: the gradient of the head's bias is their mean difference from the targets.
    """
    weights = get_weights(networks["c"])
    steps = {}
    for form, network in networks.items():
        set_weights(network, weights)
        steps[form] = gradients(network, images, targets)
    assert max(np.abs(step).max() for step in steps["c"].values()) > 0.01
    for form in "ab":
        assert steps[form].keys() == steps["c"].keys()
        for name, expected in steps["c"].items():
            scale = max(np.abs(expected).max(), 1e-2)
            np.testing.assert_allclose(steps[form][name], expected, rtol=0, atol=tolerance["rtol"] * scale)
    after = get_weights(networks["c"])
    statistics = [name for name in weights if "moving" in name]
    for form in "ab":
        for name in statistics:
            np.testing.assert_allclose(get_weights(networks[form])[name], after[name], **tolerance)
    return {name: not np.array_equal(weights[name], after[name]) for name in statistics}


def test_forms_a_b_c_are_one_function_in_float32():
    _check_forms_are_equal("float32", rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(
    keras.backend.result_type("float64") != "float64", reason="Keras computes in float64 on TensorFlow only"
)
def test_forms_a_b_c_are_one_function_in_float64():
    with keras_config("float64"):
        _check_forms_are_equal("float64", rtol=1e-10, atol=1e-10)


def test_a_sliced_network_is_another_function_in_the_same_forms():
    network = ResNeXt("resnext11_2x4d", classes=5, form="sliced")
    assert (network.form, network.variant.name, network.name) == ("sliced", *["resnext11_2x4d-sliced"] * 2)
    x = np.random.default_rng(3).normal(size=(2, 32, 32, 3)).astype("float32")
    whole = ResNeXt("resnext11_2x4d", classes=5)
    assert network.count_params() < whole.count_params()
    expected = computed(network, x)
    for form in "abc":
        other = to_form(network, form)
        assert other.form == ("sliced" if form == "b" else form)
        np.testing.assert_allclose(computed(other, x), expected, rtol=1e-4, atol=1e-5)
        assert to_form(other, "sliced").form == "sliced"
    with pytest.raises(ValueError, match=r"Only the forms 'a', 'b' and 'c'.*Received: 'c' to 'sliced'"):
        to_form(whole, "sliced")
    with pytest.raises(ValueError, match=r"`model` must be what `ResNeXt` built. Received: Functional 'other'"):
        to_form(keras.Model(x := keras.Input((4,)), x, name="other"), "c")
    with pytest.raises(ValueError, match="Received: 'c' to 'd'"):
        to_form(ResNeXt(SMALL, classes=5), "d")


def test_split_hands_every_path_the_whole_input_and_the_seeds_split_a_slice():
    x = np.arange(8, dtype="float32").reshape(1, 1, 1, 8)
    assert [keras.ops.convert_to_numpy(path).ravel().tolist() for path in split(x, 2)] == [list(range(8))] * 2
    inputs = keras.Input((1, 1, 8))
    paths = keras.Model(inputs, split_slices(inputs, 4))(x)
    assert [keras.ops.convert_to_numpy(path).ravel().tolist() for path in paths] == [[0, 1], [2, 3], [4, 5], [6, 7]]


def test_slices_must_be_equal():
    with pytest.raises(ValueError, match=r"cardinality must divide the channels.*cardinality=3, 8 channels"):
        split_slices(keras.Input((4, 4, 8)), 3)


def _types(network, block):
    return [type(layer).__name__ for layer in network.layers if layer.name.startswith(f"{block}_")]


def test_batch_norm_follows_every_convolution_and_relu_every_norm_the_last_after_the_addition():
    network = ResNeXt("resnext26_4x4d", input_shape=(64, 64, 3))
    assert _types(network, "stage3_block2") == ["GroupedConv2D", "BatchNorm"] * 3
    groups = [
        layer.groups for layer in network.layers if layer.name.startswith("stage3_block2_") and "conv" in layer.name
    ]
    assert groups == [1, 4, 1]
    norms = [layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)]
    linear = {norm.name for norm in norms if norm.activation is not keras.activations.relu}
    assert linear == {f"stage{stage}_block1_shortcut_norm" for stage in (2, 3, 4, 5)}
    added = {norm.name for norm in norms if isinstance(norm.input, list)}
    assert added == {norm.name for norm in norms if norm.name.endswith("_transition_norm")}
    for layer in network.layers:
        if isinstance(layer, keras.layers.Conv2D):
            assert not layer.use_bias
            (after,) = [node.operation for node in layer._outbound_nodes]
            assert isinstance(after, keras.layers.BatchNormalization)
            assert (after.epsilon, after.momentum) == (1e-5, 0.9)


def test_form_a_normalises_after_aggregating():
    """Footnote 6 of the paper, section 3.3."""
    network = ResNeXt(SMALL, input_shape=(12, 12, 3), form="a")
    (after,) = [node.operation.name for node in network.get_layer("stage2_block1_sum")._outbound_nodes]
    assert after == "stage2_block1_transition_norm"
    assert "stage2_block1_path1_transition_norm" not in {layer.name for layer in network.layers}


def test_the_stride_is_in_the_3x3_of_the_first_block_of_conv3_to_conv5():
    network = ResNeXt("resnext26_4x4d", input_shape=(64, 64, 3))
    strided = {layer.name for layer in network.layers if getattr(layer, "strides", (1, 1)) == (2, 2)}
    assert strided == {"stem_conv", "stem_pool"} | {
        f"stage{stage}_block1_{layer}" for stage in (3, 4, 5) for layer in ("transform_3x3_conv", "shortcut_conv")
    }


@pytest.mark.parametrize(
    ("shortcut", "projections"),
    [("none", set()), ("A", set()), ("B", {"stage2_block1", "stage3_block1", "stage4_block1"}),
     ("C", {"stage2_block1", "stage3_block1", "stage3_block2", "stage4_block1"})],
)  # fmt: skip
def test_shortcut_types(shortcut, projections):
    network = ResNeXt(dataclasses.replace(SMALL, shortcut=shortcut), input_shape=(12, 12, 3))
    names = {layer.name for layer in network.layers}
    assert {name.removesuffix("_shortcut_conv") for name in names if name.endswith("_shortcut_conv")} == projections


def test_without_shortcuts_a_block_is_its_paths_alone():
    """Section 5.1's ablation: paths that give nothing leave nothing."""
    for shortcut, is_silent in (("B", False), ("none", True)):
        variant = dataclasses.replace(SMALL, shortcut=shortcut, last_gamma=0.0)
        network = ResNeXt(variant, input_shape=(12, 12, 3), include_top=False)
        outputs = computed(network, np.ones((1, 12, 12, 3), "float32"))
        assert (not outputs.any()) == is_silent


def test_shortcut_a_keeps_the_input_and_pads_zeros():
    from resnext.model.blocks import zero_padding_shortcut

    x = np.arange(2 * 4 * 4 * 3, dtype="float32").reshape(2, 4, 4, 3)
    inputs = keras.Input((4, 4, 3))
    y = keras.ops.convert_to_numpy(
        keras.Model(inputs, zero_padding_shortcut(inputs, Block(1, 4, 5, strides=2), "block"))(x)
    )
    np.testing.assert_array_equal(y[..., :3], x[:, ::2, ::2])
    assert y.shape == (2, 2, 2, 5)
    assert not y[..., 3:].any()


def test_padding_is_symmetric_where_the_stride_is_2():
    """A one in the centre of the kernel samples positions 0, 2, 4: Keras's own "same" would take 1, 3, 5."""
    inputs = keras.Input((6, 6, 4))
    from resnext.model.blocks import convolution

    model = keras.Model(inputs, convolution(inputs, 4, 3, "conv", strides=2, groups=4))
    kernel = np.zeros((3, 3, 1, 4), "float32")
    kernel[1, 1] = 1
    model.get_layer("conv").kernel.assign(kernel)
    x = np.random.default_rng(8).normal(size=(1, 6, 6, 4)).astype("float32")
    np.testing.assert_allclose(keras.ops.convert_to_numpy(model(x)), x[:, ::2, ::2], rtol=1e-6)


def test_he_initialisation_with_a_fan_out_that_groups_do_not_divide():
    """models/resnext.lua of the authors: normal with deviation sqrt(2 / (kW kH nOutputPlane))."""
    network = ResNeXt("resnext14_32x8d", include_top=False)
    kernel = keras.ops.convert_to_numpy(network.get_layer("stage4_block1_transform_3x3_conv").kernel)
    assert kernel.shape == (3, 3, 32, 1024)
    assert abs(kernel.std() / np.sqrt(2 / (9 * 1024)) - 1) < 0.02
    assert np.abs(kernel).max() > 3 * kernel.std()  # not truncated


def test_no_two_kernels_start_equal():
    network = ResNeXt("resnext26_4x4d", include_top=False, form="b")
    kernels = [keras.ops.convert_to_numpy(w) for w in network.trainable_weights if w.name == "kernel"]
    assert len({kernel.tobytes() for kernel in kernels}) == len(kernels)


def test_last_gamma_of_zero_starts_every_block_as_its_shortcut():
    inputs = keras.Input((6, 6, 16))
    block = keras.Model(inputs, identity_block(inputs, Block(2, 4, 16, last_gamma=0.0), "block"))
    x = np.random.default_rng(9).normal(size=(1, 6, 6, 16)).astype("float32")
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(block(x)), np.maximum(x, 0))
    network = ResNeXt(dataclasses.replace(get_variant("resnext14_2x4d"), last_gamma=0.0), include_top=False)
    for name, array in get_weights(network).items():
        if name.endswith("gamma"):
            assert (array == (0 if "transition" in name else 1)).all()


@pytest.mark.parametrize("form", ["a", "b", "c", "sliced"])
def test_block_is_the_shortcut_plus_the_paths(form):
    inputs = keras.Input((6, 6, 16))
    block = keras.Model(inputs, downsampling_block(inputs, Block(4, 2, 32, strides=2), "block", form))
    assert block.output.shape == (None, 3, 3, 32)
    x = np.random.default_rng(10).normal(size=(2, 6, 6, 16)).astype("float32")
    last = block.get_layer("block_transition_norm")
    parts = keras.Model(inputs, [block.get_layer("block_shortcut_norm").output, last.input[0]])
    shortcut, aggregated = computed(parts, x)
    residual = aggregated / np.sqrt(1 + last.epsilon)  # statistics and scale are the initial ones
    np.testing.assert_allclose(computed(block, x), np.maximum(shortcut + residual, 0), rtol=1e-5, atol=1e-6)
