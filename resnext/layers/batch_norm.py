"""Batch norm, addition and activation, in one kernel forward and one backward if the backend has one."""

import keras
from keras import ops

from resnext.layers.tensor_layout import torch_images, torch_outputs


@keras.saving.register_keras_serializable(package="resnext")
class BatchNorm(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization`, followed by an optional addition and an optional activation.

    The route `fused` is one kernel forward and one backward, on TensorFlow and PyTorch. On PyTorch, addition and ReLU
    are computed in place and need no additional memory. Statistics are float32 for all dtypes of the inputs.

    Call it as `layer(x)` or `layer(x, addend)`, where both have the same shape. Masks are not accepted.

    Args:
        activation: Keras activation after the addition, or None.

    >>> import numpy as np
    >>> layer = BatchNorm(activation="relu")
    >>> layer(np.ones((2, 4, 4, 8)), np.ones((2, 4, 4, 8))).shape[-1]
    8
    """

    def __init__(self, *, activation=None, **arguments):
        super().__init__(**arguments)
        self.activation = keras.activations.get(activation)
        self.supports_masking = False  # the fused kernels count every pixel

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
        """Update the moving statistics. Keras's variance divides by `count`, the kernels' by `count - 1`."""
        variance = unbiased_variance * ((count - 1) / count)
        for moving, new in ((self.moving_mean, mean), (self.moving_variance, variance)):
            old = ops.cast(moving, "float32")  # even if the layer's policy is half precision
            moving.assign(old * self.momentum + new * (1.0 - self.momentum))
