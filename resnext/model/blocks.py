"""The ResNeXt block, in the words of the paper and of the seed: split, transform, merge, transition.

A block is y = x + sum over C paths of T(x) (Xie et al. 2017, equation 2). Figure 3 of the paper writes the same
function in three forms, here side by side: `form_a` sums the paths, `form_b` concatenates them early, `form_c` is a
grouped convolution. `form_sliced` is what https://github.com/carmel-nzhinusoft/implement-ResNeXt-with-keras does: there
each path sees only its own slice of the input, so it is another function than the three.

Every function takes and gives a Keras tensor of rank 4 in the layout of `keras.config.image_data_format()`, and its
layers compute in the dtype policy of `keras.config.dtype_policy()`. Batch norm follows every convolution, ReLU follows
every batch norm but the block's last, which comes after the addition (section 3.3 and its footnote 6).
"""

from typing import NamedTuple

import keras
from keras import layers, ops

from resnext.errors import ArgumentError
from resnext.layers.batch_norm import BatchNorm
from resnext.layers.convolution import GroupedConv2D
from resnext.layers.initializer import FanOutNormal
from resnext.variants.layer_table import eca_kernel, se_channels


def convolution(x, filters, kernel_size, name, strides=1, groups=1, dilation=1, use_bias=False):
    """A convolution padded by kernel_size // 2 on every side, by more where it dilates."""
    padding = "same"
    if strides > 1 and kernel_size > 1:
        # "same" would pad strided convolutions on one side only; PyTorch's weights expect both.
        x = layers.ZeroPadding2D(kernel_size // 2, name=f"{name}_pad")(x)
        padding = "valid"
    return GroupedConv2D(
        filters,
        kernel_size,
        strides=strides,
        padding=padding,
        dilation_rate=dilation,
        groups=groups,
        use_bias=use_bias,
        # A new object for every layer: an unseeded Keras initializer gives the same values each time it is called.
        kernel_initializer=FanOutNormal(),
        name=name,
    )(x)


def norm(x, name, gamma=1.0):
    """Batch norm; gamma starts at the given value."""
    return _batch_norm(name, gamma)(x)


def norm_activation(x, name, activation="relu", gamma=1.0, addend=None):
    """Batch norm, then the addition of another tensor where one is given, then the activation."""
    layer = _batch_norm(name, gamma, activation)
    return layer(x) if addend is None else layer(x, addend)


def _batch_norm(name, gamma, activation=None):
    """With PyTorch's epsilon and momentum (its 0.1 is Keras's 0.9)."""
    return BatchNorm(
        axis=channel_axis(),
        epsilon=1e-5,
        momentum=0.9,
        gamma_initializer=keras.initializers.Constant(gamma),
        activation=activation,
        name=name,
    )


def convolution_norm_activation(x, filters, kernel_size, name, activation="relu", **arguments):
    x = convolution(x, filters, kernel_size, f"{name}_conv", **arguments)
    return norm_activation(x, f"{name}_norm", activation)


def channel_axis() -> int:
    return -1 if keras.config.image_data_format() == "channels_last" else 1


class Block(NamedTuple):
    """A block's inside, and what it gives; the words are those of `Variant`."""

    cardinality: int
    group_width: int  # channels of one path
    channels: int  # channels of the block's output
    strides: int = 1  # of the first 3x3
    dilation: int = 1  # of the first 3x3
    stage_dilation: int = 1  # of the stage's other blocks, and of a basic block's second 3x3
    block: str = "bottleneck"
    attention: str | None = None
    anti_aliasing: str | None = None
    activation: str = "relu"
    last_gamma: float = 1.0
    drop_path: float = 0.0


def split(x, cardinality):
    """Hand the input to the C paths: each sees the whole of it."""
    return [x] * cardinality


def split_slices(x, cardinality):
    """Hand each of the C paths its own slice of the input channels: the seed's split.

    Raises:
        ValueError: the cardinality does not divide the channels.
    """
    channels = x.shape[channel_axis()]
    if channels % cardinality:
        raise ArgumentError(
            f"The cardinality must divide the channels that are sliced. Received: cardinality={cardinality}, "
            f"{channels} channels. Use a divisor, or a form that does not slice."
        )
    return ops.split(x, cardinality, axis=channel_axis())


def transform(path, paths: Block, name, groups=1):
    """1x1, then 3x3, each with batch norm and ReLU; the 3x3 carries the stride. A basic block has no 1x1."""
    width, strides = groups * paths.group_width, paths.strides
    if paths.block == "bottleneck":
        path = convolution_norm_activation(path, width, 1, f"{name}_transform_1x1", paths.activation)
    averages = paths.anti_aliasing and strides > 1
    arguments = {"strides": 1 if averages else strides, "groups": groups, "dilation": paths.dilation}
    path = convolution_norm_activation(path, width, 3, f"{name}_transform_3x3", paths.activation, **arguments)
    return layers.AveragePooling2D(2, strides, "same", name=f"{name}_transform_pool")(path) if averages else path


def merge(paths, name):
    """Concatenate the paths' channels."""
    return layers.Concatenate(axis=channel_axis(), name=f"{name}_merge")(paths) if len(paths) > 1 else paths[0]


def transition(x, paths: Block, name):
    """The 1x1 back to the block's width; a basic block's second 3x3."""
    size, dilation = (1, 1) if paths.block == "bottleneck" else (3, paths.stage_dilation)
    return convolution(x, paths.channels, size, f"{name}_transition_conv", dilation=dilation)


def form_a(x, paths: Block, name):
    """Figure 3(a), the definition: every path goes back to the block's width, and the paths are summed.

    The forms end before the block's last batch norm, which takes the sum with the shortcut and the ReLU with it.
    """
    inputs = split(x, paths.cardinality)
    names = [f"{name}_path{i}" for i in range(1, paths.cardinality + 1)]
    outputs = [transition(transform(path, paths, name), paths, name) for path, name in zip(inputs, names, strict=True)]
    return layers.Add(name=f"{name}_sum")(outputs) if len(outputs) > 1 else outputs[0]


def form_b(x, paths: Block, name):
    """Figure 3(b), early concatenation: the paths are merged before one transition."""
    return _merged_paths(split(x, paths.cardinality), paths, name)


def form_c(x, paths: Block, name):
    """Figure 3(c): all paths at once, the 3x3 a convolution in as many groups as there are paths."""
    return transition(transform(x, paths, name, groups=paths.cardinality), paths, name)


def form_sliced(x, paths: Block, name):
    """The seed's form: as (b), but each path takes its own slice of the input."""
    return _merged_paths(split_slices(x, paths.cardinality), paths, name)


def _merged_paths(inputs, paths: Block, name):
    outputs = [transform(path, paths, f"{name}_path{i}") for i, path in enumerate(inputs, 1)]
    return transition(merge(outputs, name), paths, name)


FORMS = {"a": form_a, "b": form_b, "c": form_c, "sliced": form_sliced}


def identity_shortcut(x, paths: Block, name):
    """The input itself: shapes must not change."""
    return x


def projection_shortcut(x, paths: Block, name):
    """A 1x1 convolution with the block's stride, and batch norm (types B and C of He et al. 2016, section 4.1)."""
    x = convolution(x, paths.channels, 1, f"{name}_shortcut_conv", paths.strides)
    return norm(x, f"{name}_shortcut_norm")


def average_shortcut(x, paths: Block, name):
    """2x2 averages do what the stride does, then a 1x1 convolution and batch norm (type D: ResNet-D, He et al. 2019).

    Where the stage dilates instead, the averages overlap, with zeros beyond the far border, as timm has it.
    """
    if paths.strides > 1:
        x = layers.AveragePooling2D(2, paths.strides, "same", name=f"{name}_shortcut_pool")(x)
    elif paths.stage_dilation > 1:
        x = layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"{name}_shortcut_pad")(x)
        x = layers.AveragePooling2D(2, 1, name=f"{name}_shortcut_pool")(x)
    return projection_shortcut(x, paths._replace(strides=1), name)


def zero_padding_shortcut(x, paths: Block, name):
    """The input at every second position, with zeros for the channels it lacks (type A): no weights."""
    if paths.strides > 1:
        x = layers.AveragePooling2D(1, paths.strides, name=f"{name}_shortcut_pool")(x)
    padding = [(0, 0)] * 4
    padding[channel_axis()] = (0, paths.channels - x.shape[channel_axis()])
    return ops.pad(x, padding)


def no_shortcut(x, paths: Block, name):
    """The paper's ablation: nothing is added to the paths (section 5.1, "Residual connections")."""
    return None


SHORTCUTS = {
    "A": zero_padding_shortcut,
    "B": projection_shortcut,
    "C": projection_shortcut,
    "D": average_shortcut,
    "none": no_shortcut,
}


def squeeze_and_excitation(x, paths: Block, name):
    """Scale each channel by what all channels' averages say of it (Hu et al. 2018, section 3)."""
    squeezed = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(x)
    y = convolution(squeezed, se_channels(paths.channels), 1, f"{name}_excitation_1_conv", use_bias=True)
    y = layers.ReLU(name=f"{name}_excitation_relu")(y)
    y = convolution(y, paths.channels, 1, f"{name}_excitation_2_conv", use_bias=True)
    y = layers.Activation("sigmoid", name=f"{name}_excitation_sigmoid")(y)
    return layers.Multiply(name=f"{name}_excitation")([x, y])


def efficient_channel_attention(x, paths: Block, name):
    """Scale each channel by what the averages of the channels beside it say (Wang et al. 2020, section 3.2)."""
    y = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(x)
    as_image = y.shape[1:]
    y = layers.Reshape((paths.channels, 1), name=f"{name}_eca_channels")(y)
    size = eca_kernel(paths.channels)
    options = {"padding": "same", "use_bias": False, "data_format": "channels_last"}
    y = layers.Conv1D(1, size, activation="sigmoid", name=f"{name}_eca_conv", **options)(y)
    y = layers.Reshape(as_image, name=f"{name}_eca_image")(y)
    return layers.Multiply(name=f"{name}_eca")([x, y])


ATTENTIONS = {"se": squeeze_and_excitation, "eca": efficient_channel_attention}


def identity_block(x, paths: Block, name, form="c"):
    """A block whose shortcut is its input: shape in, same shape out.

    >>> x = keras.Input((56, 56, 256))
    >>> identity_block(x, Block(cardinality=32, group_width=4, channels=256), "block").shape
    (None, 56, 56, 256)
    """
    return _residual(x, paths, name, form, identity_shortcut)


def downsampling_block(x, paths: Block, name, form="c", shortcut="B"):
    """The first block of a stage: the shape changes, so the shortcut, of one of the types in `SHORTCUTS`, follows it.

    >>> x = keras.Input((56, 56, 256))
    >>> downsampling_block(x, Block(32, group_width=8, channels=512, strides=2), "block").shape
    (None, 28, 28, 512)
    """
    return _residual(x, paths, name, form, SHORTCUTS[shortcut])


def _residual(x, paths: Block, name, form, shortcut):
    aggregated = FORMS[form](x, paths, name)
    shortcut = shortcut(x, paths, name)
    last = f"{name}_transition_norm"
    if not (paths.attention or paths.drop_path):
        return norm_activation(aggregated, last, paths.activation, paths.last_gamma, addend=shortcut)
    y = norm(aggregated, last, paths.last_gamma)
    if paths.attention:
        y = ATTENTIONS[paths.attention](y, paths, name)
    if paths.drop_path:
        whole_image = (None, 1, 1, 1)  # dropped for one image of the batch, or kept
        y = layers.Dropout(paths.drop_path, whole_image, name=f"{name}_drop_path")(y)
    y = y if shortcut is None else layers.Add(name=f"{name}_add")([y, shortcut])
    return layers.Activation(paths.activation, name=f"{name}_activation")(y)
