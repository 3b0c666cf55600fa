"""The layers that dominate the training time, each by the fastest route on every backend.

Keras's own layers are correct everywhere but slow in some cases: Keras 3.15 wraps a grouped convolution on TensorFlow
in `tf.function(jit_compile=True)`, XLA's gradients of grouped convolutions and of max-pooling are naive on a CPU, and
batch norm is a chain of single operations on TensorFlow and PyTorch. Each layer here is a subclass of Keras's, with the
same arguments, weights and values; its attribute `route` names how the values are computed. The route is chosen when
the layer is built; assign a different one to force it, as the tests do. `native` is always Keras's own computation, the
reference. See docs/performance.md for measurements.
"""

# Files that `model.save` wrote before the package had subfolders name this module as the home of these classes.
from resnext.layers.batch_norm import BatchNorm
from resnext.layers.convolution import GroupedConv2D
from resnext.layers.initializer import FanOutNormal
from resnext.layers.max_pooling import MaxPooling2D

__all__ = ["BatchNorm", "FanOutNormal", "GroupedConv2D", "MaxPooling2D"]
