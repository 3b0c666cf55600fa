"""The layers that training waits for, each by the fastest route on every backend and with a plain twin.

Keras's own layers are right everywhere; as they come, 3.15 wraps a grouped convolution on TensorFlow in
`tf.function(jit_compile=True)`, and XLA's gradients of grouped convolutions and of max-pooling are naive on a CPU; its
batch norm is a chain of single operations on TensorFlow and PyTorch. Each layer here is Keras's, with its arguments,
weights and values; `route` names the way to them. It is chosen when the layer is built; assign it to force one, as
tests do: `native` is always Keras's own, the plain twin. docs/performance.md has the measurements.
"""

import contextlib
import contextvars
import functools
import os
import platform
import random

import keras
import numpy as np
from keras import ops

# Narrow groups are merged until a kernel has so many channels and there are no more kernels: 8, 32, 64 and 128 channels
# took longer than 16, and 32 kernels compile longer than 16 and are hardly faster (docs/decisions.md).
MERGED_WIDTH = 16
MERGED_KERNELS = 16


@keras.saving.register_keras_serializable(package="resnext")
class GroupedConv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D(groups=...)`: same arguments, same weights, same values, another route to them.

    The routes are `native` (Keras's own), `direct` (the operation of TensorFlow or PyTorch, without what Keras wraps
    around it), `merged` (dense convolutions side by side, each over a few groups) and `product` (1x1 convolutions as
    one matrix product).

    >>> layer = GroupedConv2D(128, 3, padding="same", groups=32, use_bias=False)
    >>> layer.build((None, 56, 56, 128))
    >>> tuple(layer.kernel.shape)
    (3, 3, 4, 128)
    """

    def build(self, input_shape):
        super().build(input_shape)
        backend, accelerator = keras.backend.backend(), has_accelerator()
        trains = backend != "tensorflow" or accelerator or tensorflow_trains_groups(self.compute_dtype)
        pointwise = self.groups == 1 and self.kernel_size == (1, 1)
        self.route = fastest_route(backend, accelerator, trains, self.groups, pointwise)
        # Where XLA is the slow route, `compile(jit_compile="auto")` must not put it back around the whole step.
        self.supports_jit = accelerator or backend != "tensorflow"

    def compute_output_spec(self, inputs, addend=None):
        # Keras would trace every convolution of the merged route to learn what the shape says already.
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
        if self.use_bias:  # this operation, and not an addition, is what TensorFlow fuses with the convolution
            outputs = tf.nn.bias_add(
                outputs, self.bias, data_format="N...C" if self.data_format == "channels_last" else "NC..."
            )
        return self.activation(outputs if addend is None else outputs + addend)

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
        # XLA's and TensorFlow's convolutions in half precision are slower than in float32 where this route is taken.
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
        # One flat product: with more than one leading axis XLA's gradients take up to twice as long.
        flat = jax_product()(ops.reshape(images, (-1, images.shape[-1])), ops.convert_to_tensor(self.kernel)[0, 0])
        outputs = ops.reshape(flat, (-1, *images.shape[1:3], self.filters))
        return self._finish(ops.transpose(outputs, (0, 3, 1, 2)) if channels_first else outputs, addend)


def fastest_route(backend: str, accelerator: bool, trains_groups: bool, groups: int, pointwise: bool) -> str:
    """The route of a convolution, by what was measured on a CPU (docs/decisions.md, `resnext bench conv`).

    No route was best at one size of ResNeXt-50's images and not at another, so sizes are not asked for. On an
    accelerator XLA's own kernels are taken unmeasured.
    """
    if backend != "jax" and (trains_groups or groups == 1):
        return "direct"
    if backend == "jax" and not accelerator:
        return "product" if pointwise else "merged"
    return "merged" if groups > 1 and not accelerator else "native"


def tensorflow_trains_groups(compute_dtype: str) -> bool:
    """Whether TensorFlow's CPU has grouped convolutions with gradients: oneDNN has them, in two float kinds."""
    one_dnn = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1") != "0" and platform.system() != "Darwin"
    return one_dnn and compute_dtype in ("float32", "bfloat16")


def merge_groups(kernel, groups: int) -> list:
    """Dense kernels that together do what a grouped one does, each over a few groups that lie side by side.

    Shapes: (h, w, d, groups * f) -> groups / m kernels of (h, w, m * d, m * f), block-diagonal, where m is the
    smallest divisor of `groups` that makes them `MERGED_WIDTH` wide or wider, and no more than `MERGED_KERNELS`.
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
    """(n, i) x (i, o) -> (n, o) in JAX, summed in float32 or wider, forward and in both gradients.

    On a CPU with AVX-512 BF16, bfloat16 to float32 runs at 300 to 380 GFLOP/s, bfloat16 to bfloat16, as matmul's
    gradients would be, at 150 to 170, no faster than float32 (2-core AMD EPYC, JAX 0.10.2, 2048x2048).
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


@keras.saving.register_keras_serializable(package="resnext")
class BatchNorm(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization`, then an addition and an activation where they are asked for.

    Route `fused` is one kernel forward and one backward, on TensorFlow and PyTorch; addition and ReLU happen in place
    on PyTorch, and take no memory of their own. Statistics are float32 whatever the inputs are.

    Args:
        activation: a Keras activation after the addition, or None.

    Call with `layer(x)` or `layer(x, addend)`, both of one shape. Masks are not taken.

    >>> layer = BatchNorm(activation="relu")
    >>> layer(np.ones((2, 4, 4, 8)), np.ones((2, 4, 4, 8))).shape[-1]
    8
    """

    def __init__(self, *, activation=None, **arguments):
        super().__init__(**arguments)
        self.activation = keras.activations.get(activation)

    def build(self, input_shape, *_):
        super().build(input_shape)
        axis = self.axis % len(input_shape)
        self.data_format = "channels_first" if axis == 1 else "channels_last"
        has_kernel = keras.backend.backend() != "jax" and self.compute_dtype in ("float32", "bfloat16", "float16")
        fits = len(input_shape) == 4 and axis in (1, 3) and self.scale and self.center
        plain = not (self.renorm or self.synchronized)
        self.route = "fused" if has_kernel and fits and plain else "native"

    def get_config(self):
        return {**super().get_config(), "activation": keras.activations.serialize(self.activation)}

    def compute_output_spec(self, inputs, addend=None, training=None):
        return keras.KerasTensor(inputs.shape, self.compute_dtype)

    def compute_output_shape(self, input_shape, *_):
        return input_shape

    def call(self, inputs, addend=None, training=None):
        learning = bool(training and self.trainable)
        return getattr(self, f"_{self.route}")(inputs, addend, learning)

    def _native(self, inputs, addend, learning):
        outputs = super().call(inputs, training=learning)
        return self.activation(outputs if addend is None else outputs + addend)

    def _fused(self, inputs, addend, learning):
        fused = {"tensorflow": self._tensorflow, "torch": self._torch}[keras.backend.backend()]
        return fused(inputs, addend, learning)

    def _tensorflow(self, inputs, addend, learning):
        import tensorflow as tf

        gamma, beta, mean, variance = self._vectors()
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=gamma,
            offset=beta,
            mean=[] if learning else mean,
            variance=[] if learning else variance,
            epsilon=self.epsilon,
            data_format="NHWC" if self.data_format == "channels_last" else "NCHW",
            is_training=learning,
        )
        if learning:
            self._move(mean, variance, tf.cast(tf.size(inputs) / tf.size(gamma), mean.dtype))
        return self.activation(outputs if addend is None else outputs + addend)

    def _torch(self, inputs, addend, learning):
        import torch

        images = torch_images(inputs, self.data_format)
        count = images.numel() // images.shape[1]
        if learning and count == 1:
            return self._native(inputs, addend, learning)  # PyTorch divides by count - 1
        gamma, beta, mean, variance = self._vectors()
        if learning:
            mean, variance = torch.zeros_like(mean), torch.zeros_like(variance)
        outputs = torch.batch_norm(
            images, gamma, beta, mean, variance, learning, 1.0, self.epsilon, torch.backends.cudnn.enabled
        )
        if learning:
            self._move(mean, variance, count)
        return torch_outputs(outputs, addend, self.activation, self.data_format)

    def _vectors(self):
        return [ops.cast(v, "float32") for v in (self.gamma, self.beta, self.moving_mean, self.moving_variance)]

    def _move(self, mean, unbiased_variance, count):
        """The moving statistics follow a batch. Keras's variance divides by `count`, the kernels' by one less."""
        variance = unbiased_variance * ((count - 1) / count)
        for moving, new in ((self.moving_mean, mean), (self.moving_variance, variance)):
            old = ops.cast(moving, "float32")  # also where the layer's own policy is half precision
            moving.assign(old * self.momentum + new * (1.0 - self.momentum))


@keras.saving.register_keras_serializable(package="resnext")
class MaxPooling2D(keras.layers.MaxPooling2D):
    """`keras.layers.MaxPooling2D` with a gradient that is not naive on JAX, and without copies on PyTorch.

    >>> MaxPooling2D(3, 2)(np.ones((1, 9, 9, 8))).shape[1]
    4
    """

    def build(self, input_shape):
        super().build(input_shape)
        fast = {"torch": "torch", "jax": "native" if has_accelerator() else "jax"}
        fits = self.padding == "valid" and np.prod(self.pool_size) <= 127  # positions are counted in int8
        self.route = fast.get(keras.backend.backend(), "native") if fits else "native"

    def call(self, inputs):
        return getattr(self, f"_{self.route}")(inputs)

    def _native(self, inputs):
        return super().call(inputs)

    def _torch(self, inputs):
        from torch.nn import functional

        outputs = functional.max_pool2d(torch_images(inputs, self.data_format), self.pool_size, self.strides)
        return keras_images(outputs, self.data_format)

    def _jax(self, inputs):
        first = self.data_format == "channels_first"
        images = ops.transpose(inputs, (0, 2, 3, 1)) if first else inputs
        outputs = _jax_max_pool(self.pool_size, self.strides, images.shape[1:3])(images)
        return ops.transpose(outputs, (0, 3, 1, 2)) if first else outputs


@functools.cache
def _jax_max_pool(size: tuple[int, int], strides: tuple[int, int], sides: tuple[int, int]):
    """Max-pooling of images `sides` large that remembers which position of a window won: it gets all of the gradient.

    XLA's own gradient of the stem's pooling took 448 ms at batch 16 where this takes 42, and the operation itself 21
    where this takes 9 (2-core AMD EPYC, JAX 0.10.2, float32, best of 5).
    """
    import jax
    from jax import numpy as jnp

    windows = [(side - k) // s + 1 for side, k, s in zip(sides, size, strides, strict=True)]
    reach = [(count - 1) * s + 1 for count, s in zip(windows, strides, strict=True)]
    positions = list(np.ndindex(*size))

    def values(images, row, column):
        """Of one position in all windows."""
        return images[:, row : row + reach[0] : strides[0], column : column + reach[1] : strides[1]]

    def forward(images):
        best = values(images, 0, 0)
        winner = jnp.zeros(best.shape, jnp.int8)
        for number, position in enumerate(positions):
            candidate = values(images, *position)
            winner = jnp.where(candidate > best, jnp.int8(number), winner)
            best = jnp.maximum(best, candidate)
        return best, winner

    def backward(winner, slopes):
        total = 0
        for number, position in enumerate(positions):
            zero = jnp.zeros((), slopes.dtype)
            edges = [
                (start, side - start - r, s - 1)
                for start, side, r, s in zip(position, sides, reach, strides, strict=True)
            ]
            total += jax.lax.pad(jnp.where(winner == number, slopes, zero), zero, [(0, 0, 0), *edges, (0, 0, 0)])
        return (total,)

    pool = jax.custom_vjp(lambda images: forward(images)[0])
    pool.defvjp(forward, backward)
    return pool


def torch_images(images, data_format: str):
    """The images as PyTorch wants them, (N, C, H, W); channels last in memory they stay: nothing is copied."""
    return images.permute(0, 3, 1, 2) if data_format == "channels_last" else images


def keras_images(images, data_format: str):
    """The way back from `torch_images`."""
    return images.permute(0, 2, 3, 1) if data_format == "channels_last" else images


def torch_kernel(kernel):
    """(h, w, i, o) -> (o, i, h, w), channels last in memory: else every kernel would be copied twice forward and again
    backward.
    """
    import torch

    return ops.convert_to_tensor(kernel).permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)


def torch_outputs(images, addend, activation, data_format: str):
    """(N, C, H, W) -> Keras's layout, after an addition and an activation that take no memory of their own."""
    if addend is not None:
        images += torch_images(addend, data_format)
    if activation is keras.activations.relu:
        return keras_images(images.relu_(), data_format)
    return activation(keras_images(images, data_format))


def same_padding(side: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """What "same" pads before and after a side."""
    total = max((-(-side // stride) - 1) * stride + (kernel - 1) * dilation + 1 - side, 0)
    return total // 2, total - total // 2


_filled_later = contextvars.ContextVar("filled_later", default=False)


@contextlib.contextmanager
def filled_later():
    """Inside the block `FanOutNormal` gives zeros: drawing what a file then replaces takes a third of the time."""
    token = _filled_later.set(True)
    try:
        yield
    finally:
        _filled_later.reset(token)


@keras.saving.register_keras_serializable(package="resnext")
class FanOutNormal(keras.initializers.Initializer):
    """Normal with variance 2 / fan-out, as He et al. 2015 (section 2.2) and the authors' code (models/resnext.lua).

    The fan-out is not divided by the groups. NumPy draws: one seed gives the same values on every backend, and JAX does
    not compile a program for every shape, which took most of the time in which a network was built.

    >>> FanOutNormal(seed=0)((3, 3, 64, 128)).shape[-1]
    128
    """

    def __init__(self, seed: int | None = None):
        self.seed = random.getrandbits(32) if seed is None else seed  # `keras.utils.set_random_seed` sets `random`

    def get_config(self):
        return {"seed": self.seed}

    def __call__(self, shape, dtype=None):
        height, width, _, filters = shape
        if _filled_later.get():
            return ops.convert_to_tensor(np.zeros(shape, np.float32), dtype=dtype or keras.config.floatx())
        values = np.random.default_rng(self.seed).standard_normal(shape, np.float32)
        values *= np.sqrt(2 / (height * width * filters), dtype=np.float32)
        return ops.convert_to_tensor(values, dtype=dtype or keras.config.floatx())


def has_accelerator() -> bool:
    """Whether TensorFlow or JAX computes on something better than the CPU."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return bool(tf.config.list_physical_devices("GPU"))
    if backend == "jax":
        import jax

        return jax.default_backend() != "cpu"
    return False
