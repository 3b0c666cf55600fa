"""The grouped convolution: Keras's own layer, by a route that can be trained with on every backend.

Keras 3.15 wraps every grouped convolution on TensorFlow in `tf.function(jit_compile=True)`, and XLA's gradient of
a grouped convolution is naive on a CPU, on JAX as well: one 3x3 layer of ResNeXt-50 (32 groups, 56x56x128, batch 8)
took 15.9 s forward and backward on TensorFlow and 10.8 s on JAX, where the routes here take 45 and 73 ms
(2-core AMD EPYC with AVX-512 BF16, Keras 3.15.1, TensorFlow 2.21, JAX 0.10.2).
"""

import keras
from keras import ops

# Width in channels that narrow groups are merged to on JAX: measured best on the machine above.
MERGED_WIDTH = 16


@keras.saving.register_keras_serializable(package="resnext")
class GroupedConv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D(groups=...)`: same arguments, same weights, same values, another route to them.

    The routes are `native` (Keras's own: the plain twin), `direct` (TensorFlow's operation without XLA) and `merged`
    (dense convolutions side by side, each over a few groups). `route` is chosen when the layer is built; assign it
    to force one.

    >>> layer = GroupedConv2D(128, 3, padding="same", groups=32, use_bias=False)
    >>> layer.build((None, 56, 56, 128))
    >>> tuple(layer.kernel.shape)
    (3, 3, 4, 128)
    """

    def build(self, input_shape):
        super().build(input_shape)
        accelerator = _has_accelerator()
        self.route = fastest_route(keras.backend.backend(), self.compute_dtype, accelerator)
        # Where XLA is the slow route, `compile(jit_compile="auto")` must not put it back around the whole step.
        self.supports_jit = accelerator or self.route != "direct"

    def compute_output_spec(self, inputs):
        # Keras would trace every convolution of the merged route to learn what the shape says already.
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), self.compute_dtype)

    def convolution_op(self, inputs, kernel):
        return getattr(self, f"_{self.route}")(inputs, kernel)

    def _native(self, inputs, kernel):
        return super().convolution_op(inputs, kernel)

    def _direct(self, inputs, kernel):
        import tensorflow as tf

        return tf.nn.conv2d(
            inputs,
            kernel,
            self.strides,
            self.padding.upper(),
            data_format="NHWC" if self.data_format == "channels_last" else "NCHW",
            dilations=self.dilation_rate,
        )

    def _merged(self, inputs, kernel):
        axis = -1 if self.data_format == "channels_last" else 1
        kernels = merge_groups(kernel, self.groups)
        slices = ops.split(inputs, len(kernels), axis=axis)
        convolve = super().convolution_op
        return ops.concatenate([convolve(x, k) for x, k in zip(slices, kernels, strict=True)], axis=axis)


def fastest_route(backend: str, compute_dtype: str, accelerator: bool) -> str:
    """The route for a backend and a dtype; XLA's kernels on an accelerator and PyTorch's everywhere are good."""
    if backend == "tensorflow" and (accelerator or compute_dtype in ("float32", "bfloat16")):
        return "direct"
    if backend in ("tensorflow", "jax") and not accelerator:
        return "merged"  # TensorFlow's CPU kernel has no gradient for groups in float16 and float64
    return "native"


def merge_groups(kernel, groups: int) -> list:
    """Dense kernels that together do what a grouped one does, each over a few groups that lie side by side.

    Shapes: (h, w, d, groups * f) -> groups / m kernels of (h, w, m * d, m * f), block-diagonal, where m is the
    smallest divisor of `groups` that makes them `MERGED_WIDTH` channels wide.
    """
    height, width, group_width, filters = kernel.shape
    divisors = [m for m in range(1, groups + 1) if groups % m == 0]
    merged = next((m for m in divisors if m * group_width >= MERGED_WIDTH), groups)
    kernels = groups // merged
    blocks = ops.reshape(kernel, (height, width, group_width, kernels, merged, filters // groups))
    diagonal = ops.einsum("hwikmo,nm->khwnimo", blocks, ops.eye(merged, dtype=kernel.dtype))
    dense = (kernels, height, width, merged * group_width, merged * filters // groups)
    return ops.unstack(ops.reshape(diagonal, dense), axis=0)


def _has_accelerator() -> bool:
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return bool(tf.config.list_physical_devices("GPU"))
    if backend == "jax":
        import jax

        return jax.default_backend() != "cpu"
    return False
