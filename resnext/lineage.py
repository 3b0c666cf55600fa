"""The two re-implementations that this library descends from, built as they describe themselves, and working.

The first is https://github.com/carmel-nzhinusoft/implement-ResNeXt-with-keras, called the seed below, with its
functions `split`, `transform`, `transition`, `identity_block` and `downsampling_block`; the second is
https://github.com/taki0112/ResNeXt-Tensorflow, which inspired it.

Both depart from the paper; each docstring lists where. Their networks are variants like all others, `resnext50_wenga`
and `resnext29_taki`: commands train them by these names. They were written for Keras 2 and TensorFlow 1, and neither
runs today as published. On Keras 3, the first one's `Lambda` layers all see the last slice of the input, and its
initializers share one seed, which makes all paths of a block start equal. Here every path has its own slice and start.
"""

from collections.abc import Sequence
from string import ascii_lowercase as LETTERS
from typing import TypeAlias

from keras import layers

from resnext.errors import ArgumentError
from resnext.model.blocks import channel_axis, merge, split_slices
from resnext.model.network import ResNeXt, ResNeXtModel
from resnext.variants.layer_table import block_name

Strides: TypeAlias = int | tuple[int, int]


def resnext50_wenga(input_shape: tuple[int, int, int] | None = None, classes: int = 1000) -> ResNeXtModel:
    """Build the network of https://github.com/carmel-nzhinusoft/implement-ResNeXt-with-keras (Wenga): "ResNeXt50".

    It is `ResNeXt("resnext50_wenga", form="b")`, and departs from the paper (Xie et al. 2017) in these points:
    - each path sees only its slice of the input (the paper's form b: all of it), so the first 1x1 has a quarter of
      the weights; cardinality 4, 32 channels a path in stage 2;
    - the stride is in the 1x1, not in the 3x3, and stage 2 has one as well: 64 times smaller in all, not 32;
    - the max-pool is not padded: 112 becomes 55, not 56;
    - every convolution has a bias; initialisation by Glorot and Bengio 2010, not He et al. 2015;
    - ReLU after the transition, before the addition, so that a block can only add;
    - batch norm with Keras's epsilon 1e-3 and momentum 0.99;
    - the head averages 2x2 fields and flattens them: its size depends on the image's.

    Args:
        input_shape: (height, width, channels) in pixels, by default 224, 224, 3; or channels first, as Keras is set.
        classes: number of classes; the model gives their probabilities.

    >>> resnext50_wenga((32, 32, 3), classes=10).count_params()
    26511114
    """
    return ResNeXt("resnext50_wenga", input_shape=input_shape, classes=classes, form="b")


def resnext29_taki(classes: int = 10) -> ResNeXtModel:
    """Build the network of https://github.com/taki0112/ResNeXt-Tensorflow for 32x32 images, which inspired the seed.

    It is `ResNeXt("resnext29_taki", form="b")`, and departs from the paper (Xie et al. 2017, section 5.2) in these
    points:
    - form b with cardinality 8 and 64 channels a path, as the paper's 29_8x64d, but the width of a path stays 64 in
      every stage, and the blocks give 64, 128 and 256 channels, not 256, 512 and 1024: a ninth of the weights;
    - the stride is in the 1x1, not in the 3x3;
    - shortcut of type A: 2x2 average pooling, and zero channels on both sides;
    - no bias in the classifier; initialisation by Glorot and Bengio 2010, not He et al. 2015; batch norm with epsilon
      1e-3 (momentum 0.9 as the paper's code).

    Args:
        classes: number of classes; the model gives their probabilities.

    >>> resnext29_taki().count_params()  # 3,957,696 of them trainable
    3978944
    """
    return ResNeXt("resnext29_taki", classes=classes, form="b")


def split(inputs, inputs_channels: int | None = None, cardinality: int = 4) -> list:
    """Slice the channels of the input into `cardinality` groups: the seed's "Split".

    The paper's form b passes all channels to every path instead (`resnext.model.blocks.split`). The seed's code slices
    in `Lambda` layers, all of which return the last slice on Keras 3.

    Args:
        inputs: Keras tensor (batch, height, width, channels), or channels first if Keras is configured so.
        inputs_channels: its channels, as the seed's page passes them; its code does not.
        cardinality: number of groups, a divisor of the channels.

    Returns:
        Tensors with inputs_channels / cardinality channels each, in order.

    Raises:
        ArgumentError: the input has other channels, or they can't be divided.

    >>> [group.shape for group in split(layers.Input((56, 56, 64)), inputs_channels=64, cardinality=4)]
    [(None, 56, 56, 16), (None, 56, 56, 16), (None, 56, 56, 16), (None, 56, 56, 16)]
    """
    _check_numbers("cardinality", (cardinality,))
    channels = inputs.shape[channel_axis()]
    if inputs_channels not in (None, channels):
        raise ArgumentError(f"`inputs_channels` must be the input's, {channels}. Received: {inputs_channels}")
    return split_slices(inputs, cardinality)


def transform(groups: Sequence, filters: tuple[int, int], strides: Strides, stage: int, block: str):
    """Apply a 1x1 and a 3x3 convolution to each group, and concatenate the results: the seed's "Transform + merge".

    The 1x1 carries the stride; in the paper's network, the 3x3 does. In `resnext.model.blocks`, `transform` is one
    path, and `merge` concatenates.

    Args:
        groups: tensors of the same height and width.
        filters: filters of the 1x1 and of the 3x3 of one group.
        strides: of the 1x1.
        stage: number of the stage, from 2.
        block: letter of the block in the stage, from "a".

    >>> groups = split(layers.Input((56, 56, 64)), 64, 4)
    >>> transform(groups, filters=(32, 32), strides=(2, 2), stage=2, block="a").shape
    (None, 28, 28, 128)
    """
    if not groups:
        raise ArgumentError("`groups` must be the tensors that `split` returned. Received: none")
    _check_numbers("filters", filters, 2)
    paths = []
    for i, path in enumerate(groups, 1):
        name = f"{_name(stage, block)}_path{i}_transform"
        path = _norm_relu(layers.Conv2D(filters[0], 1, strides, name=f"{name}_1x1_conv")(path), f"{name}_1x1")
        path = layers.Conv2D(filters[1], 3, padding="same", name=f"{name}_3x3_conv")(path)
        paths.append(_norm_relu(path, f"{name}_3x3"))
    return merge(paths, _name(stage, block))


def transition(inputs, filters: int, stage: int, block: str):
    """Apply the 1x1 convolution that ends the paths, batch norm and ReLU: the seed's "Transition".

    The paper has no ReLU here, before the addition: with it, a block can only add to its input.

    Args:
        inputs: tensor that `transform` returned.
        filters: channels of the block's output.
        stage, block: as in `transform`.

    >>> transition(layers.Input((28, 28, 128)), filters=256, stage=2, block="a").shape
    (None, 28, 28, 256)
    """
    _check_numbers("filters", (filters,))
    name = f"{_name(stage, block)}_transition"
    return _norm_relu(layers.Conv2D(filters, 1, name=f"{name}_conv")(inputs), name)


def identity_block(
    inputs, filters: tuple[int, int, int], cardinality: int, stage: int, block: str, strides: Strides = (1, 1)
):
    """Apply a block of the seed whose input and output have the same shape: its "Identity Block".

    `resnext.model.blocks.identity_block` is the paper's, in any form.

    Args:
        inputs: Keras tensor with filters[2] channels.
        filters: channels of the 1x1, of the 3x3, both of all groups together, and of the output.
        cardinality: number of groups.
        stage, block: as in `transform`.
        strides: must stay (1, 1).

    >>> identity_block(layers.Input((28, 28, 256)), (128, 128, 256), cardinality=4, stage=2, block="b").shape
    (None, 28, 28, 256)
    """
    if strides not in (1, (1, 1), [1, 1]):
        raise ArgumentError(f"`strides` of an identity block must be (1, 1). Received: {strides}")
    return _add(_residual(inputs, filters, cardinality, strides, stage, block), inputs, stage, block)


def downsampling_block(
    inputs, filters: tuple[int, int, int], cardinality: int, strides: Strides, stage: int, block: str
):
    """Apply the first block of a stage of the seed, where the shape changes: its "Downsampling Block".

    The shortcut is a 1x1 convolution with the stride, and batch norm (type B). In `resnext.model.blocks`,
    `downsampling_block` is the paper's, in any form and with any shortcut.

    Args:
        inputs: Keras tensor.
        filters, cardinality, stage, block: as in `identity_block`.
        strides: of the block; (2, 2) in every stage of the seed, the first included.

    >>> downsampling_block(layers.Input((55, 55, 64)), (128, 128, 256), 4, (2, 2), stage=2, block="a").shape
    (None, 28, 28, 256)
    """
    y = _residual(inputs, filters, cardinality, strides, stage, block)
    name = f"{_name(stage, block)}_shortcut"
    shortcut = layers.Conv2D(filters[2], 1, strides, name=f"{name}_conv")(inputs)
    return _add(y, layers.BatchNormalization(channel_axis(), name=f"{name}_norm")(shortcut), stage, block)


def _residual(inputs, filters, cardinality, strides, stage, block):
    _check_numbers("filters", filters, 3)
    groups = split(inputs, cardinality=cardinality)
    if filters[0] % cardinality or filters[1] % cardinality:
        raise ArgumentError(
            f"`filters` of the 1x1 and the 3x3 must be multiples of the cardinality, {cardinality}. Received: {filters}"
        )
    widths = filters[0] // cardinality, filters[1] // cardinality
    return transition(transform(groups, widths, strides, stage, block), filters[2], stage, block)


def _add(y, shortcut, stage, block):
    name = _name(stage, block)
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([y, shortcut]))


def _name(stage: int, block: str) -> str:
    """Return the name of a block, which has a letter in the seed and a number here. Raises ArgumentError."""
    if not isinstance(block, str) or len(block) != 1 or block not in LETTERS:
        raise ArgumentError(f"`block` must be a letter from a to z. Received: {block!r}")
    _check_numbers("stage", (stage,))
    return block_name(stage, LETTERS.index(block) + 1)


def _check_numbers(argument: str, numbers: Sequence, count: int = 1) -> None:
    """Raise ArgumentError unless they are as many whole numbers as expected, at least 1."""
    is_list = isinstance(numbers, list | tuple) and len(numbers) == count
    if not is_list or not all(type(number) is int and number >= 1 for number in numbers):
        words = "a whole number" if count == 1 else f"{count} whole numbers"
        received = numbers[0] if is_list and count == 1 else numbers
        raise ArgumentError(f"`{argument}` must be {words}, at least 1. Received: {received!r}")


def _norm_relu(x, name):
    return layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(channel_axis(), name=f"{name}_norm")(x))
