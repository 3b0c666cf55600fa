"""The two re-implementations that this library descends from, built as they describe themselves, and working.

Both depart from the paper; each docstring lists where. They were written for Keras 2 and TensorFlow 1, and neither runs
today as published. On Keras 3, the first one's `Lambda` layers all see the last slice of the input, and its
initializers share one seed, which makes all paths of a block start equal. Here every path has its own slice and start.
"""

import keras
from keras import layers, ops

from resnext.model.blocks import channel_axis, merge, split, split_slices


def resnext50_wenga(input_shape: tuple[int, int, int] = (224, 224, 3), classes: int = 1000) -> keras.Model:
    """Build the network of https://github.com/carmel-nzhinusoft/implement-ResNeXt-with-keras (Wenga): "ResNeXt50".

    It departs from the paper (Xie et al. 2017) in these points:
    - each path sees only its slice of the input (the paper's form b: all of it), so the first 1x1 has a quarter of
      the weights; cardinality 4, 32 channels a path in stage 2;
    - the stride is in the 1x1, not in the 3x3, and stage 2 has one as well: 64 times smaller in all, not 32;
    - the max-pool is not padded: 112 becomes 55, not 56;
    - every convolution has a bias; initialisation by Glorot and Bengio 2010, not He et al. 2015;
    - ReLU after the transition, before the addition, so that a block can only add;
    - batch norm with Keras's epsilon 1e-3 and momentum 0.99;
    - the head averages 2x2 fields and flattens them: its size depends on the image's.

    Args:
        input_shape: (height, width, channels) in pixels; channels first if Keras is configured so.
        classes: number of classes; the model gives their probabilities.

    >>> resnext50_wenga((32, 32, 3), classes=10).count_params()
    26511114
    """
    inputs = keras.Input(input_shape)
    x = layers.ZeroPadding2D(3)(inputs)
    x = _wenga_norm_relu(layers.Conv2D(64, 7, 2, name="stem_conv")(x), "stem")
    x = layers.MaxPooling2D(3, 2)(x)
    for stage, (blocks, width) in enumerate([(3, 128), (4, 256), (6, 512), (3, 1024)], 2):
        for block in range(1, blocks + 1):
            x = _wenga_block(x, width, 2 if block == 1 else 1, f"stage{stage}_block{block}")
    x = layers.Flatten()(layers.AveragePooling2D(2, padding="same")(x))
    outputs = layers.Dense(classes, activation="softmax", name="predictions")(x)
    return keras.Model(inputs, outputs, name="resnext50_wenga")


def _wenga_block(x, width, strides, name, cardinality=4):
    paths = [
        _wenga_transform(path, width // cardinality, strides, f"{name}_path{i}")
        for i, path in enumerate(split_slices(x, cardinality), 1)
    ]
    y = layers.Conv2D(2 * width, 1, name=f"{name}_transition_conv")(merge(paths, name))
    y = _wenga_norm_relu(y, f"{name}_transition")
    if strides > 1:
        x = layers.Conv2D(2 * width, 1, strides, name=f"{name}_shortcut_conv")(x)
        x = layers.BatchNormalization(channel_axis(), name=f"{name}_shortcut_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([y, x]))


def _wenga_transform(path, width, strides, name):
    path = layers.Conv2D(width, 1, strides, name=f"{name}_transform_1x1_conv")(path)
    path = _wenga_norm_relu(path, f"{name}_transform_1x1")
    path = layers.Conv2D(width, 3, padding="same", name=f"{name}_transform_3x3_conv")(path)
    return _wenga_norm_relu(path, f"{name}_transform_3x3")


def _wenga_norm_relu(x, name):
    return layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(channel_axis(), name=f"{name}_norm")(x))


def resnext29_taki(classes: int = 10) -> keras.Model:
    """Build the network of https://github.com/taki0112/ResNeXt-Tensorflow for 32x32 images, which inspired the seed.

    It departs from the paper (Xie et al. 2017, section 5.2) in these points:
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
    channels_first = keras.config.image_data_format() == "channels_first"
    inputs = keras.Input((3, 32, 32) if channels_first else (32, 32, 3))
    x = _taki_convolution(inputs, 64, 3, "stem")
    for stage, channels in enumerate([64, 128, 256], 2):
        for block in range(1, 4):
            x = _taki_block(x, channels, 2 if block == 1 and stage > 2 else 1, f"stage{stage}_block{block}")
    x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
    outputs = layers.Dense(classes, activation="softmax", use_bias=False, name="predictions")(x)
    return keras.Model(inputs, outputs, name="resnext29_taki")


def _taki_block(x, channels, strides, name, cardinality=8, width=64):
    paths = []
    for i, path in enumerate(split(x, cardinality), 1):
        path = _taki_convolution(path, width, 1, f"{name}_path{i}_transform_1x1", strides)
        paths.append(_taki_convolution(path, width, 3, f"{name}_path{i}_transform_3x3"))
    y = _taki_convolution(merge(paths, name), channels, 1, f"{name}_transition", activation=layers.Identity)
    if strides > 1:
        x = layers.AveragePooling2D(2, 2, "same", name=f"{name}_shortcut_pool")(x)
        padding = [(0, 0)] * 4
        padding[channel_axis()] = (channels // 4, channels // 4)
        x = ops.pad(x, padding)
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([y, x]))


def _taki_convolution(x, filters, kernel_size, name, strides=1, activation=layers.ReLU):
    x = layers.Conv2D(filters, kernel_size, strides, "same", use_bias=False, name=f"{name}_conv")(x)
    x = layers.BatchNormalization(channel_axis(), momentum=0.9, name=f"{name}_norm")(x)
    return activation(name=f"{name}_relu")(x)
