"""Keras's tensors as PyTorch wants them, and back, without copies."""

import keras
from keras import ops


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
