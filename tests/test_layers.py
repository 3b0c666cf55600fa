"""GroupedConv2D on every route against a loop over positions and groups, values and both gradients."""

import keras
import numpy as np
import pytest

from resnext.layers import GroupedConv2D, fastest_route, merge_groups

BACKEND = keras.backend.backend()
ROUTES = {"tensorflow": ["native", "direct", "merged"]}.get(BACKEND, ["native", "merged"])


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


class Images(keras.layers.Layer):
    """Gives its own weight, so that a step of training shows the gradient of a layer's input."""

    def __init__(self, images, **arguments):
        super().__init__(**arguments)
        self.images = self.add_weight(shape=images.shape, initializer=lambda *_, **__: images)

    def call(self, inputs):
        return keras.ops.cast(self.images, self.compute_dtype) + 0 * inputs


def step(route, x, kernel, groups, upstream, dtype="float32", **arguments):
    """Outputs of the layer and the gradients of x and kernel for the slopes `upstream`."""
    first = arguments["data_format"] == "channels_first"
    to_layout = (lambda a: np.moveaxis(a, -1, 1)) if first else (lambda a: a)
    to_last = (lambda a: np.moveaxis(a, 1, -1)) if first else (lambda a: a)
    inputs = keras.Input(batch_shape=to_layout(x).shape)
    images = Images(to_layout(x), dtype=dtype)
    layer = GroupedConv2D(kernel.shape[-1], kernel.shape[:2], groups=groups, use_bias=False, dtype=dtype, **arguments)
    model = keras.Model(inputs, layer(images(inputs)))
    layer.route = route
    layer.kernel.assign(kernel)
    zeros = np.zeros_like(to_layout(x))
    outputs = keras.ops.convert_to_numpy(keras.ops.cast(model(zeros), "float32"))

    def loss(slopes, predicted):
        return keras.ops.sum(keras.ops.cast(predicted, "float32") * keras.ops.cast(slopes, "float32"))

    model.compile(keras.optimizers.SGD(1.0), loss)
    before = [keras.ops.convert_to_numpy(keras.ops.cast(v, "float32")) for v in (images.images, layer.kernel)]
    model.train_on_batch(zeros, to_layout(upstream))
    after = [keras.ops.convert_to_numpy(keras.ops.cast(v, "float32")) for v in (images.images, layer.kernel)]
    d_x, d_kernel = (old - new for old, new in zip(before, after, strict=True))
    return to_last(outputs), to_last(d_x), d_kernel


CASES = {
    "narrow groups": {"channels": 32, "filters": 32, "groups": 8},
    "one channel a group": {"channels": 8, "filters": 16, "groups": 8},
    "wide groups": {"channels": 64, "filters": 32, "groups": 2},
    "groups that do not fill 16 evenly": {"channels": 18, "filters": 12, "groups": 6},
    "stride": {"channels": 32, "filters": 32, "groups": 8, "strides": 2},
    "stride, valid": {"channels": 32, "filters": 32, "groups": 8, "strides": 2, "padding": "valid"},
    "dilation": {"channels": 32, "filters": 32, "groups": 8, "dilation": 2},
    "one pixel kernel": {"channels": 32, "filters": 32, "groups": 8, "kernel_size": 1},
}


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("case", CASES)
def test_every_route_is_the_definition(case, route, data_format):
    case = {"strides": 1, "dilation": 1, "padding": "same", "kernel_size": 3, **CASES[case]}
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2, 9, 7, case["channels"]))
    side, groups = case["kernel_size"], case["groups"]
    kernel = rng.normal(size=(side, side, case["channels"] // groups, case["filters"]))
    place = (case["strides"], case["dilation"], case["padding"])
    upstream = rng.normal(size=reference(x, kernel, groups, *place)[0].shape)
    expected = reference(x, kernel, groups, *place, upstream)
    arguments = {"strides": case["strides"], "dilation_rate": case["dilation"], "padding": case["padding"]}
    given = step(route, x, kernel, groups, upstream, data_format=data_format, **arguments)
    for ours, truth in zip(given, expected, strict=True):
        np.testing.assert_allclose(ours, truth, rtol=1e-4, atol=2e-4)


@pytest.mark.parametrize("route", [route for route in ROUTES if route != "native"])
def test_bfloat16_stays_within_its_precision(route):
    rng = np.random.default_rng(2)
    x, kernel = rng.normal(size=(2, 8, 8, 32)), rng.normal(size=(3, 3, 4, 32))
    upstream = rng.normal(size=(2, 8, 8, 32))
    expected = reference(x, kernel, 8, 1, 1, "same", upstream)
    given = step(route, x, kernel, 8, upstream, "mixed_bfloat16", padding="same", data_format="channels_last")
    for ours, truth in zip(given, expected, strict=True):
        assert np.abs(ours - truth).max() < 0.03 * np.abs(truth).max()  # bfloat16 has 8 bits


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
    ("backend", "dtype", "accelerator", "route"),
    [
        ("tensorflow", "float32", False, "direct"),
        ("tensorflow", "bfloat16", False, "direct"),
        ("tensorflow", "float16", False, "merged"),
        ("tensorflow", "float64", False, "merged"),
        ("tensorflow", "float16", True, "direct"),
        ("jax", "float32", False, "merged"),
        ("jax", "float32", True, "native"),
        ("torch", "float32", False, "native"),
    ],
)
def test_route_follows_backend_device_and_dtype(backend, dtype, accelerator, route):
    assert fastest_route(backend, dtype, accelerator) == route


@pytest.mark.skipif(BACKEND != "tensorflow", reason="XLA can be left out on TensorFlow only")
def test_compile_leaves_xla_out_where_it_is_slow():
    inputs = keras.Input((8, 8, 8))
    model = keras.Model(inputs, GroupedConv2D(8, 3, groups=4)(inputs))
    model.compile("sgd", "mse")
    assert model.jit_compile is False
