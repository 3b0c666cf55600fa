"""Conversion of tensors between the layouts of Keras and PyTorch, without copies."""

import keras
from keras import ops


def torch_images(images, data_format: str):
    """Return the images in PyTorch's layout, (N, C, H, W), as a view: channels-last memory is kept."""
    return images.permute(0, 3, 1, 2) if data_format == "channels_last" else images


def keras_images(images, data_format: str):
    """Invert `torch_images`."""
    return images.permute(0, 2, 3, 1) if data_format == "channels_last" else images


def torch_kernel(kernel):
    """Return the kernel (h, w, i, o) as (o, i, h, w), channels last in memory.

    Otherwise every kernel would be copied twice forward and again backward.
    """
    import torch

    return ops.convert_to_tensor(kernel).permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)


def torch_outputs(images, addend, activation, data_format: str):
    """Add, activate and return (N, C, H, W) in Keras's layout; addition and ReLU are in place and need no memory."""
    if addend is not None:
        images += torch_images(addend, data_format)
    if activation is keras.activations.relu:
        return keras_images(images.relu_(), data_format)
    return activation(keras_images(images, data_format))


def same_padding(side: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """Return the padding before and after a side for padding "same"."""
    total = max((-(-side // stride) - 1) * stride + (kernel - 1) * dilation + 1 - side, 0)
    return total // 2, total - total // 2
