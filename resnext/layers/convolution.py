"""Grouped and ordinary convolutions, by the fastest route on every backend (see `resnext.layers`)."""

import functools
import json

import keras
from keras import ops

from resnext.backend import has_accelerator, installed_versions, is_apple_gpu, silent
from resnext.layers.apple_gpu import check_grouped_convolution
from resnext.layers.tensor_layout import same_padding, torch_images, torch_kernel, torch_outputs

# Narrow groups are merged until a kernel has at least MERGED_WIDTH channels and there are at most MERGED_KERNELS of
# them. 8, 32, 64 and 128 channels took longer than 16; 32 kernels take longer to compile than 16 and are hardly faster
# (docs/decisions.md).
MERGED_WIDTH = 16
MERGED_KERNELS = 16


@keras.saving.register_keras_serializable(package="resnext")
class GroupedConv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D(groups=...)` with the same arguments, weights and values, computed by another route.

    The routes are `native` (Keras's own), `direct` (the operation of TensorFlow or PyTorch without Keras's wrapper),
    `merged` (dense convolutions side by side, each over several groups) and `product` (a 1x1 convolution as one matrix
    product).

    >>> layer = GroupedConv2D(128, 3, padding="same", groups=32, use_bias=False)
    >>> layer.build((None, 56, 56, 128))
    >>> tuple(layer.kernel.shape)
    (3, 3, 4, 128)
    """

    origin: dict | None = None  # the network's arguments, kept in its first convolution for clones

    def get_config(self):
        config = super().get_config()
        return config if self.origin is None else {**config, "origin": json.loads(json.dumps(self.origin))}

    @classmethod
    def from_config(cls, config):
        layer = super().from_config({name: value for name, value in config.items() if name != "origin"})
        layer.origin = config.get("origin")
        return layer

    def build(self, input_shape):
        super().build(input_shape)
        backend, accelerator = keras.backend.backend(), has_accelerator()
        if backend == "torch" and self.groups > 1 and is_apple_gpu():
            check_grouped_convolution(installed_versions().get("torch", ""))
        trains = backend != "tensorflow" or accelerator or self._trains_in_tensorflow()
        pointwise = self.groups == 1 and self.kernel_size == (1, 1)
        self.route = fastest_route(backend, accelerator, trains, self.groups, pointwise)
        if self.compute_dtype == "float16" and backend != "jax" and not accelerator:
            self.route = "merged"  # computed in float32: no CPU has kernels for gradients in float16
        # If XLA is the slow route, `compile(jit_compile="auto")` must not apply it to the complete step.
        self.supports_jit = accelerator or backend != "tensorflow"

    def _trains_in_tensorflow(self) -> bool:
        return tensorflow_trains(self.compute_dtype, self.data_format == "channels_first", self.groups > 1)

    def compute_output_spec(self, inputs, addend=None):
        # Keras would trace every convolution of the merged route only to infer the shape, which is known.
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), self.compute_dtype)

    def compute_output_shape(self, input_shape, *_):
        return super().compute_output_shape(input_shape)

    def call(self, inputs, addend=None):
        return getattr(self, f"_{self.route}")(inputs, addend)

    def _native(self, inputs, addend):
        return self._finish(self.convolution_op(inputs, self.kernel), addend)

    def _finish(self, outputs, addend):
        if self.use_bias:
            channels_first = self.data_format == "channels_first"
            outputs += ops.reshape(self.bias, (-1, 1, 1)) if channels_first else self.bias
        return self.activation(outputs if addend is None else outputs + addend)

    def _direct(self, inputs, addend):
        direct = {"tensorflow": self._tensorflow, "torch": self._torch}[keras.backend.backend()]
        return direct(inputs, addend)

    def _tensorflow(self, inputs, addend):
        import tensorflow as tf

        data_format = "NHWC" if self.data_format == "channels_last" else "NCHW"
        outputs = tf.nn.conv2d(
            inputs,
            self.kernel,
            self.strides,
            self.padding.upper(),
            data_format=data_format,
            dilations=self.dilation_rate,
        )
        if self.use_bias:  # TensorFlow fuses this operation, but not an addition, with the convolution
            outputs = tf.nn.bias_add(
                outputs, self.bias, data_format="N...C" if self.data_format == "channels_last" else "NC..."
            )
        if addend is not None:
            outputs += addend
            if self.activation is keras.activations.mish:  # TensorFlow 2.21 fuses these three, and has no kernel for it
                outputs = tf.ensure_shape(outputs, outputs.shape)
        return self.activation(outputs)

    def _torch(self, inputs, addend):
        from torch.nn import functional

        images = torch_images(inputs, self.data_format)
        padding = [(0, 0), (0, 0)]
        if self.padding == "same":
            places = zip(images.shape[2:], self.kernel_size, self.strides, self.dilation_rate, strict=True)
            padding = [same_padding(*place) for place in places]
        if any(before != after for before, after in padding):
            (top, bottom), (left, right) = padding
            images, padding = functional.pad(images, (left, right, top, bottom)), [(0, 0), (0, 0)]
        outputs = functional.conv2d(
            images,
            torch_kernel(self.kernel),
            ops.convert_to_tensor(self.bias) if self.use_bias else None,
            stride=self.strides,
            padding=[before for before, _ in padding],
            dilation=self.dilation_rate,
            groups=self.groups,
        )
        return torch_outputs(outputs, addend, self.activation, self.data_format)

    def _merged(self, inputs, addend):
        # When this route is used, convolutions of XLA and TensorFlow are slower in half precision than in float32.
        dtype = "float64" if self.compute_dtype == "float64" else "float32"
        axis = -1 if self.data_format == "channels_last" else 1
        kernels = merge_groups(ops.cast(self.kernel, dtype), self.groups)
        slices = ops.split(ops.cast(inputs, dtype), len(kernels), axis=axis)
        parts = [self.convolution_op(x, kernel) for x, kernel in zip(slices, kernels, strict=True)]
        return self._finish(ops.cast(ops.concatenate(parts, axis=axis), self.compute_dtype), addend)

    def _product(self, inputs, addend):
        rows, columns = self.strides
        channels_first = self.data_format == "channels_first"
        images = ops.transpose(inputs, (0, 2, 3, 1)) if channels_first else inputs
        images = images[:, ::rows, ::columns]
        # The product has only one leading axis: with more, XLA's gradients take up to twice as long.
        flat = jax_product()(ops.reshape(images, (-1, images.shape[-1])), ops.convert_to_tensor(self.kernel)[0, 0])
        outputs = ops.reshape(flat, (-1, *images.shape[1:3], self.filters))
        return self._finish(ops.transpose(outputs, (0, 3, 1, 2)) if channels_first else outputs, addend)


def fastest_route(backend: str, accelerator: bool, trains: bool, groups: int, pointwise: bool) -> str:
    """Return the fastest route of a convolution as measured on a CPU (docs/decisions.md, `resnext bench conv`).

    The fastest route was the same at all image sizes in ResNeXt-50, so sizes are not parameters. On an accelerator,
    XLA's own kernels are used; this choice has not been measured. `trains` is whether the backend's own operation has
    gradients here.
    """
    if backend != "jax" and trains:
        return "direct"
    if backend == "jax" and not accelerator:
        return "product" if pointwise else "merged"
    return "merged" if groups > 1 and not accelerator else "native"


@functools.cache
def tensorflow_trains(compute_dtype: str, channels_first: bool, grouped: bool) -> bool:
    """Return whether TensorFlow's convolution has gradients on the CPU, found by computing one.

    Only oneDNN has gradients for groups, for channels-first images, and for bfloat16 if the processor supports it. It
    is not in every build, and TensorFlow enables it by default only on processors with AVX-512 VNNI or AMX;
    `resnext/__init__.py` requests it on all others.
    """
    import tensorflow as tf

    images, layout = ((1, 4, 3, 3), "NCHW") if channels_first else ((1, 3, 3, 4), "NHWC")
    with tf.init_scope(), tf.device("CPU:0"), silent():
        kernel = tf.zeros((3, 3, 2 if grouped else 4, 4), compute_dtype)
        slopes = tf.zeros(images, compute_dtype)
        try:
            tf.raw_ops.Conv2DBackpropInput(
                input_sizes=images, filter=kernel, out_backprop=slopes, strides=4 * (1,), padding="SAME",
                data_format=layout,
            )  # fmt: skip
        except tf.errors.OpError:
            return False
    return True


def merge_groups(kernel, groups: int) -> list:
    """Return dense kernels that together compute a grouped convolution, each over several adjacent groups.

    A kernel of shape (h, w, d, groups * f) becomes groups / m block-diagonal kernels of shape (h, w, m * d, m * f).
    Here m is the smallest divisor of `groups` for which they are at least `MERGED_WIDTH` wide and at most
    `MERGED_KERNELS` in number.
    """
    height, width, group_width, filters = kernel.shape
    divisors = [m for m in range(1, groups + 1) if groups % m == 0]
    merged = next((m for m in divisors if m * group_width >= MERGED_WIDTH and groups // m <= MERGED_KERNELS), groups)
    kernels = groups // merged
    blocks = ops.reshape(kernel, (height, width, group_width, kernels, merged, filters // groups))
    diagonal = ops.einsum("hwikmo,nm->khwnimo", blocks, ops.eye(merged, dtype=kernel.dtype))
    dense = (kernels, height, width, merged * group_width, merged * filters // groups)
    return ops.unstack(ops.reshape(diagonal, dense), axis=0)


@functools.cache
def jax_product():
    """Return JAX's matrix product (n, i) x (i, o) -> (n, o), summed in float32 or wider, also in both gradients.

    On a CPU with AVX-512 BF16, products of bfloat16 run at 300 to 380 GFLOP/s if the result is float32. If it is
    bfloat16, as in the gradients of matmul, they run at 150 to 170 GFLOP/s, no faster than float32 (2-core AMD EPYC,
    JAX 0.10.2, 2048x2048).
    """
    import jax
    from jax import numpy as jnp

    def product(a, b, axis_a, axis_b):
        contracted = (((axis_a,), (axis_b,)), ((), ()))
        wide = jnp.promote_types(a.dtype, jnp.float32)
        return jax.lax.dot_general(a, b, contracted, preferred_element_type=wide).astype(a.dtype)

    def forward(x, kernel):
        return product(x, kernel, 1, 0), (x, kernel)

    def backward(saved, slopes):
        x, kernel = saved
        return product(slopes, kernel, 1, 1), product(x, slopes, 0, 0)

    result = jax.custom_vjp(lambda x, kernel: product(x, kernel, 1, 0))
    result.defvjp(forward, backward)
    return result
