"""Every route of the grouped convolution, against a loop over positions and groups."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from resnext import ResNeXt
from resnext.layers.convolution import GroupedConv2D, fastest_route, merge_groups, tensorflow_trains
from support.layers import BACKEND, Images
from support.networks import computed

ROUTES = ["native", "merged", "product" if BACKEND == "jax" else "direct"]


def reference(x, kernel, groups, strides, dilation, padding, upstream=None):
    """Outputs of a grouped convolution, channels last, and with `upstream` the gradients of x and kernel."""
    height, width, group_width, filters = kernel.shape
    reach = [(side - 1) * dilation + 1 for side in (height, width)]
    pads = [(0, 0), (0, 0)]
    if padding == "same":
        for i, side in enumerate(x.shape[1:3]):
            total = max((-(-side // strides) - 1) * strides + reach[i] - side, 0)
            pads[i] = (total // 2, total - total // 2)
    padded = np.pad(x, [(0, 0), *pads, (0, 0)])
    rows, columns = ((padded.shape[i + 1] - reach[i]) // strides + 1 for i in range(2))
    outputs = np.zeros((len(x), rows, columns, filters))
    d_padded, d_kernel = np.zeros_like(padded), np.zeros_like(kernel)
    per_group = filters // groups
    for row, column, group in np.ndindex(rows, columns, groups):
        taken = slice(group * group_width, (group + 1) * group_width)
        given = slice(group * per_group, (group + 1) * per_group)
        place = (
            slice(None),
            slice(row * strides, row * strides + reach[0], dilation),
            slice(column * strides, column * strides + reach[1], dilation),
            taken,
        )
        outputs[:, row, column, given] = np.einsum("nhwi,hwio->no", padded[place], kernel[..., given])
        if upstream is not None:
            slope = upstream[:, row, column, given]
            d_padded[place] += np.einsum("no,hwio->nhwi", slope, kernel[..., given])
            d_kernel[..., given] += np.einsum("nhwi,no->hwio", padded[place], slope)
    d_x = d_padded[:, pads[0][0] : pads[0][0] + x.shape[1], pads[1][0] : pads[1][0] + x.shape[2]]
    return outputs, d_x, d_kernel


def step(ways, x, kernel, upstream, dtype, **arguments):
    """Outputs of the layer and the gradients of x and kernel for the slopes `upstream`, for each route and layout.

    One network has them all: to trace and compile it takes longer than the step.
    """
    inputs = keras.Input(batch_shape=(len(x), 1, 1, 1))
    pairs, outputs = [], []
    for route, data_format in ways:
        images = Images(in_layout(x, data_format), dtype=dtype)
        layer = GroupedConv2D(kernel.shape[-1], kernel.shape[:2], use_bias=False, dtype=dtype, data_format=data_format,
                              **arguments)  # fmt: skip
        outputs.append(layer(images(inputs)))
        layer.route = route
        layer.kernel.assign(kernel)
        pairs.append((images.images, layer.kernel))
    model = keras.Model(inputs, outputs)
    zeros = np.zeros(inputs.shape, "float32")
    computed_outputs = computed(model, zeros)

    def loss(slopes, predicted):
        return keras.ops.sum(keras.ops.cast(predicted, "float32") * keras.ops.cast(slopes, "float32"))

    def values():
        return [[keras.ops.convert_to_numpy(keras.ops.cast(v, "float32")) for v in pair] for pair in pairs]

    model.compile(keras.optimizers.SGD(1.0), [loss] * len(ways))
    before = values()
    model.train_on_batch(zeros, [in_layout(upstream, data_format) for _, data_format in ways])
    after = values()
    for (_, data_format), y, old, new in zip(ways, computed_outputs, before, after, strict=True):
        d_x, d_kernel = (one - other for one, other in zip(old, new, strict=True))
        yield in_layout(y, data_format, back=True), in_layout(d_x, data_format, back=True), d_kernel


def in_layout(array, data_format, back=False):
    """An array with the channels last in a layout, or back."""
    if data_format == "channels_last":
        return array
    return np.moveaxis(array, 1, -1) if back else np.moveaxis(array, -1, 1)


CASES = {
    "narrow groups": {"channels": 32, "filters": 32, "groups": 8},
    "one channel a group": {"channels": 8, "filters": 16, "groups": 8},
    "wide groups": {"channels": 64, "filters": 32, "groups": 2},
    "groups that do not fill 16 evenly": {"channels": 18, "filters": 12, "groups": 6},
    "stride": {"channels": 32, "filters": 32, "groups": 8, "strides": 2},
    "stride, valid": {"channels": 32, "filters": 32, "groups": 8, "strides": 2, "padding": "valid"},
    "dilation": {"channels": 32, "filters": 32, "groups": 8, "dilation": 2},
    "stride, padded on one side": {"channels": 32, "filters": 32, "groups": 8, "strides": 2, "sides": (8, 6)},
    "one pixel kernel": {"channels": 32, "filters": 32, "groups": 8, "kernel_size": 1},
    "one pixel kernel, one group": {"channels": 12, "filters": 20, "groups": 1, "kernel_size": 1},
    "one pixel kernel, one group, stride": {"channels": 12, "filters": 20, "groups": 1, "kernel_size": 1, "strides": 2},
    "one group": {"channels": 8, "filters": 12, "groups": 1},
}
LAYOUTS = ["channels_last", "channels_first"]
POINTWISE = [name for name in CASES if name.startswith("one pixel kernel, one group")]


@pytest.mark.parametrize("name", CASES)
def test_every_route_is_the_definition(name):
    for way, ours, truth in compared(name, ROUTES, "float32"):
        np.testing.assert_allclose(ours, truth, rtol=1e-4, atol=2e-4, err_msg=way)


@pytest.mark.parametrize("name", ["narrow groups", "stride", "dilation", *POINTWISE])
def test_bfloat16_stays_within_its_precision(name):
    for way, ours, truth in compared(name, [route for route in ROUTES if route != "native"], "mixed_bfloat16"):
        assert np.abs(ours - truth).max() < 0.03 * np.abs(truth).max(), way  # bfloat16 has 8 bits


def compared(name, routes, dtype):
    """Of each route in both layouts: what it is, what the layer gives in a case, and what the definition gives."""
    case = {"strides": 1, "dilation": 1, "padding": "same", "kernel_size": 3, "sides": (9, 7), **CASES[name]}
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2, *case["sides"], case["channels"]))
    side, groups = case["kernel_size"], case["groups"]
    kernel = rng.normal(size=(side, side, case["channels"] // groups, case["filters"]))
    place = (case["strides"], case["dilation"], case["padding"])
    upstream = rng.normal(size=reference(x, kernel, groups, *place)[0].shape)
    truths = reference(x, kernel, groups, *place, upstream)
    ways = [way for way in itertools.product(routes, LAYOUTS) if is_for(*way, name, dtype, groups)]
    arguments = {"strides": case["strides"], "dilation_rate": case["dilation"], "padding": case["padding"]}
    arrays = step(ways, x, kernel, upstream, dtype, groups=groups, **arguments)
    for way, given in zip(ways, arrays, strict=True):
        for what, ours, truth in zip(("outputs", "gradient of x", "of the kernel"), given, truths, strict=True):
            yield f"{way}: {what}", ours, truth


def is_for(route, data_format, name, dtype, groups):
    """Whether the layer ever takes the route there: the product is for 1x1 convolutions in one group, and TensorFlow
    has not every gradient on every processor."""
    if route == "product":
        return name in POINTWISE
    if BACKEND == "tensorflow" and route == "direct":
        return tensorflow_trains(dtype.removeprefix("mixed_"), data_format == "channels_first", groups > 1)
    return True


def test_it_is_keras_conv2d_with_the_same_weights_bias_and_activation():
    x = np.random.default_rng(3).normal(size=(2, 6, 6, 12)).astype("float32")
    arguments = {"groups": 3, "padding": "same", "activation": "relu", "bias_initializer": "ones"}
    plain, ours = keras.layers.Conv2D(24, 3, **arguments), GroupedConv2D(24, 3, **arguments)
    expected = plain(x)
    ours.build(x.shape)
    ours.set_weights(plain.get_weights())
    assert [w.name for w in ours.weights] == [w.name for w in plain.weights]
    assert ours.get_config().keys() == plain.get_config().keys()
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(ours(x)), keras.ops.convert_to_numpy(expected), rtol=1e-5, atol=1e-5
    )


def test_merged_kernels_are_block_diagonal():
    kernel = np.arange(1, 1 + 3 * 3 * 4 * 32, dtype="float32").reshape(3, 3, 4, 32)
    kernels = [keras.ops.convert_to_numpy(k) for k in merge_groups(keras.ops.convert_to_tensor(kernel), groups=8)]
    assert [k.shape for k in kernels] == [(3, 3, 16, 16)] * 2
    for i, group in np.ndindex(2, 4):
        block = kernels[i][:, :, 4 * group : 4 * group + 4, 4 * group : 4 * group + 4]
        start = 16 * i + 4 * group
        np.testing.assert_array_equal(block, kernel[..., start : start + 4])
    assert sum(np.count_nonzero(k) for k in kernels) == kernel.size


@pytest.mark.parametrize(
    ("backend", "accelerator", "trains", "groups", "pointwise", "route"),
    [
        ("tensorflow", False, True, 32, False, "direct"),
        ("tensorflow", False, True, 1, True, "direct"),
        ("tensorflow", False, False, 32, False, "merged"),
        ("tensorflow", False, False, 1, False, "native"),
        ("tensorflow", True, True, 32, False, "direct"),
        ("jax", False, True, 32, False, "merged"),
        ("jax", False, True, 1, False, "merged"),
        ("jax", False, True, 1, True, "product"),
        ("jax", True, True, 32, False, "native"),
        ("jax", True, True, 1, True, "native"),
        ("torch", False, True, 32, False, "direct"),
    ],
)
def test_route_follows_backend_device_and_shape(backend, accelerator, trains, groups, pointwise, route):
    assert fastest_route(backend, accelerator, trains, groups, pointwise) == route


def trained_route(dtype):
    """The route of a grouped convolution after a step of training."""
    layer = GroupedConv2D(8, 3, padding="same", groups=2, dtype=dtype)
    inputs = keras.Input((8, 8, 8))
    model = keras.Model(inputs, layer(inputs))
    model.compile("sgd", "mse", jit_compile=False)
    model.train_on_batch(np.ones((2, 8, 8, 8)), np.ones((2, 8, 8, 8)))
    return layer.route


@pytest.mark.skipif(BACKEND != "tensorflow", reason="oneDNN is TensorFlow's")
def test_groups_are_trained_where_tensorflow_cannot():
    """Float16 and builds without oneDNN have no gradient for groups: the layer takes another route."""
    assert trained_route("float16") == "merged"
    code = "from layers.test_convolution import trained_route; print(trained_route('float32'))"
    environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": "0"}
    tests = Path(__file__).parent.parent
    ran = subprocess.run([sys.executable, "-c", code], env=environment, cwd=tests, capture_output=True, text=True,
                         timeout=120)  # fmt: skip
    assert ran.stdout.strip() == "merged", ran.stderr[-2000:]


def test_a_network_takes_the_fast_routes():
    network = ResNeXt("resnext14_8x4d", include_top=False)
    routes = {layer.name: layer.route for layer in network.layers if hasattr(layer, "route")}
    norm = {"jax": "native"}.get(BACKEND, "fused")
    assert {route for name, route in routes.items() if name.endswith("_norm")} == {norm}
    pointwise = {"jax": "product"}.get(BACKEND, "direct")
    assert {route for name, route in routes.items() if "1x1_conv" in name or "transition_conv" in name} == {pointwise}
    assert routes["stage2_block1_transform_3x3_conv"] == {"jax": "merged"}.get(BACKEND, "direct")
    assert routes["stem_pool"] == {"tensorflow": "native"}.get(BACKEND, BACKEND)


def convolution_with_all(route):
    """A convolution with bias, addend and ReLU, and what Keras's layers give for the same."""
    rng = np.random.default_rng(3)
    x, addend = rng.normal(size=(2, 2, 6, 6, 12)).astype("float32")
    arguments = {"groups": 3, "padding": "same", "bias_initializer": "ones", "activation": "relu"}
    layer = GroupedConv2D(12, 3, **arguments)
    layer.build(x.shape)
    plain = keras.layers.Conv2D(12, 3, **{**arguments, "activation": None})
    plain.build(x.shape)
    plain.set_weights(layer.get_weights())
    layer.route = route
    expected = np.maximum(keras.ops.convert_to_numpy(plain(x)) + addend, 0)
    return keras.ops.convert_to_numpy(layer(x, addend)), expected


@pytest.mark.parametrize("route", [route for route in ROUTES if route != "product"])
def test_bias_addend_and_activation_follow_on_every_route(route):
    given, expected = convolution_with_all(route)
    np.testing.assert_allclose(given, expected, rtol=1e-5, atol=1e-5)


def test_a_graph_with_mish_runs():
    """TensorFlow fuses a convolution, its bias, an addition and Mish, and has no kernel for that."""
    x = np.random.default_rng(0).normal(size=(2, 6, 6, 12)).astype("float32")
    images, addend = keras.Input(x.shape[1:]), keras.Input(x.shape[1:])
    layer = GroupedConv2D(12, 3, padding="same", bias_initializer="ones", activation="mish")
    network = keras.Model([images, addend], layer(images, addend))
    plain = keras.layers.Conv2D(12, 3, padding="same")
    plain.build(x.shape)
    plain.set_weights(layer.get_weights())
    before = keras.ops.convert_to_numpy(plain(x)).astype("float64") + x
    expected = before * np.tanh(np.logaddexp(0, before))
    np.testing.assert_allclose(network.predict([x, x], verbose=0), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="XLA can be left out on TensorFlow only")
def test_compile_leaves_xla_out_where_it_is_slow():
    inputs = keras.Input((8, 8, 8))
    model = keras.Model(inputs, GroupedConv2D(8, 3, groups=4)(inputs))
    model.compile("sgd", "mse")
    assert model.jit_compile is False
