"""The layers that training waits for, each by the fastest route on every backend and with a plain twin.

Keras's own layers are right everywhere; as they come, 3.15 wraps a grouped convolution on TensorFlow in
`tf.function(jit_compile=True)`, and XLA's gradients of grouped convolutions and of max-pooling are naive on a CPU; its
batch norm is a chain of single operations on TensorFlow and PyTorch. Each layer here is Keras's, with its arguments,
weights and values; `route` names the way to them. It is chosen when the layer is built; assign it to force one, as
tests do: `native` is always Keras's own, the plain twin. docs/performance.md has the measurements.
"""

# Files that `model.save` wrote when the package was flat name this module as the home of these classes.
from resnext.layers.batch_norm import BatchNorm
from resnext.layers.convolution import GroupedConv2D
from resnext.layers.initializer import FanOutNormal
from resnext.layers.max_pooling import MaxPooling2D

__all__ = ["BatchNorm", "FanOutNormal", "GroupedConv2D", "MaxPooling2D"]
