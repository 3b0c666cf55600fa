"""The ResNeXt block, in the terms of the paper and of the seed: split, transform, merge, transition.

A block is y = x + sum over C paths of T(x) (Xie et al. 2017, equation 2). Figure 3 of the paper writes the same
function in three forms, here side by side: `form_a` sums the paths, `form_b` concatenates them early, `form_c` is a
grouped convolution. `form_sliced` is the block of https://github.com/carmel-nzhinusoft/implement-ResNeXt-with-keras:
each path sees only its own slice of the input, so its function differs from the other three. It is form b of a sliced
block, whose forms a and c are the same function again: in form c, the 1x1 is grouped as well.

Every function maps a Keras tensor of rank 4, in the layout of `keras.config.image_data_format()`, to another one; its
layers compute in the dtype policy of `keras.config.dtype_policy()`. Batch norm follows every convolution, ReLU follows
every batch norm but the block's last, which comes after the addition (section 3.3 and its footnote 6). `name` is the
prefix of the layers' names.
"""

import keras
from keras import layers, ops

from resnext.errors import ArgumentError
from resnext.layers.batch_norm import BatchNorm
from resnext.layers.convolution import GroupedConv2D
from resnext.layers.initializer import FanOutNormal, GlorotUniform
from resnext.variants.departures import PAPER
from resnext.variants.layer_table import block_name, eca_kernel, se_channels
from resnext.variants.variant import Block

INITIALIZERS = {"he": FanOutNormal, "glorot": GlorotUniform}


def convolution(x, filters, kernel_size, name, strides=1, groups=1, dilation=1, use_bias=False, like=PAPER):
    """Apply a convolution padded by kernel_size // 2 on every side, and by more if it dilates.

    `like` are the departures of the network from the paper.
    """
    padding = "same"
    if strides > 1 and kernel_size > 1:
        # "same" would pad strided convolutions on one side only; PyTorch's weights expect both sides.
        x = layers.ZeroPadding2D(kernel_size // 2, name=f"{name}_pad")(x)
        padding = "valid"
    return GroupedConv2D(
        filters,
        kernel_size,
        strides=strides,
        padding=padding,
        dilation_rate=dilation,
        groups=groups,
        use_bias=use_bias or like.has_bias,
        # A new object for every layer: an unseeded Keras initializer returns the same values on every call.
        kernel_initializer=INITIALIZERS[like.initializer](),
        name=name,
    )(x)


def norm(x, name, gamma=1.0, like=PAPER):
    """Apply batch norm; `gamma` is its initial scale."""
    return _batch_norm(name, gamma, like)(x)


def norm_activation(x, name, activation: str | None = "relu", gamma=1.0, addend=None, like=PAPER):
    """Apply batch norm, then add another tensor if one is passed, then apply any activation."""
    layer = _batch_norm(name, gamma, like, activation)
    return layer(x) if addend is None else layer(x, addend)


def _batch_norm(name, gamma, like, activation=None):
    return BatchNorm(
        axis=channel_axis(),
        epsilon=like.epsilon,
        momentum=like.momentum,
        gamma_initializer=keras.initializers.Constant(gamma),
        activation=activation,
        name=name,
    )


def convolution_norm_activation(x, filters, kernel_size, name, activation="relu", like=PAPER, **arguments):
    """Apply a convolution, batch norm and an activation."""
    x = convolution(x, filters, kernel_size, f"{name}_conv", like=like, **arguments)
    return norm_activation(x, f"{name}_norm", activation, like=like)


def channel_axis() -> int:
    """Return the axis of the channels in Keras's image layout."""
    return -1 if keras.config.image_data_format() == "channels_last" else 1


def split(x, cardinality):
    """Pass the input to the C paths: each sees all of it."""
    return [x] * cardinality


def split_slices(x, cardinality):
    """Pass each of the C paths its own slice of the input channels: the seed's split.

    Raises:
        ArgumentError: the cardinality does not divide the channels.
    """
    channels = x.shape[channel_axis()]
    if channels % cardinality:
        raise ArgumentError(
            f"The cardinality must divide the channels that are sliced. Received: cardinality={cardinality}, "
            f"{channels} channels. Use a divisor, or a form that does not slice."
        )
    return ops.split(x, cardinality, axis=channel_axis())


def transform(path, block: Block, name, groups=1):
    """Apply the 1x1 (not in a basic block) and the 3x3, each with batch norm and ReLU; one carries the stride."""
    width, strides, like = groups * block.group_width, block.strides, block.departures
    if block.kind == "bottleneck":
        of_1x1 = strides if like.strides_at == "1x1" else 1
        strides //= of_1x1
        arguments = {"groups": groups if block.sliced else 1, "strides": of_1x1, "like": like}
        path = convolution_norm_activation(path, width, 1, f"{name}_transform_1x1", block.activation, **arguments)
    averages = block.anti_aliasing and strides > 1
    arguments = {"strides": 1 if averages else strides, "groups": groups, "dilation": block.dilation, "like": like}
    path = convolution_norm_activation(path, width, 3, f"{name}_transform_3x3", block.activation, **arguments)
    return layers.AveragePooling2D(2, strides, "same", name=f"{name}_transform_pool")(path) if averages else path


def merge(paths, name):
    """Concatenate the channels of the paths."""
    return layers.Concatenate(axis=channel_axis(), name=f"{name}_merge")(paths) if len(paths) > 1 else paths[0]


def transition(x, block: Block, name):
    """Apply the 1x1 back to the block's width; in a basic block, its second 3x3."""
    size, dilation = (1, 1) if block.kind == "bottleneck" else (3, block.stage_dilation)
    return convolution(x, block.channels, size, f"{name}_transition_conv", dilation=dilation, like=block.departures)


def _transitions(paths, block: Block, names):
    """Apply the transition of each path. Of a sum, only the first has the bias."""
    unbiased = block._replace(departures=block.departures._replace(has_bias=False))
    blocks = [block, *[unbiased] * (len(paths) - 1)]
    return [transition(*arguments) for arguments in zip(paths, blocks, names, strict=True)]


def form_a(x, block: Block, name):
    """Apply Figure 3(a), the definition: every path returns to the block's width, and the paths are summed.

    The forms end before the block's last batch norm, which is fused with the addition of the shortcut and the ReLU.
    """
    names = [f"{name}_path{i}" for i in range(1, block.cardinality + 1)]
    paths = [transform(path, block, each) for path, each in zip(_inputs_of_paths(x, block), names, strict=True)]
    outputs = _transitions(paths, block, names)
    return layers.Add(name=f"{name}_sum")(outputs) if len(outputs) > 1 else outputs[0]


def form_b(x, block: Block, name):
    """Apply Figure 3(b), early concatenation: the paths are merged before one transition."""
    outputs = [transform(path, block, f"{name}_path{i}") for i, path in enumerate(_inputs_of_paths(x, block), 1)]
    return transition(merge(outputs, name), block, name)


def form_c(x, block: Block, name):
    """Apply Figure 3(c), all paths at once: the 3x3 is a convolution with as many groups as there are paths."""
    return transition(transform(x, block, name, groups=block.cardinality), block, name)


def form_sliced(x, block: Block, name):
    """Apply the seed's form: like (b), but each path receives its own slice of the input."""
    return form_b(x, block._replace(sliced=True), name)


def _inputs_of_paths(x, block: Block):
    return (split_slices if block.sliced else split)(x, block.cardinality)


FORMS = {"a": form_a, "b": form_b, "c": form_c, "sliced": form_sliced}


def identity_shortcut(x, block: Block, name):
    """Return the input: its shape must not change."""
    return x


def projection_shortcut(x, block: Block, name):
    """Apply a 1x1 convolution with the block's stride, and batch norm (types B and C, He et al. 2016, section 4.1)."""
    x = convolution(x, block.channels, 1, f"{name}_shortcut_conv", block.strides, like=block.departures)
    return norm(x, f"{name}_shortcut_norm", like=block.departures)


def average_shortcut(x, block: Block, name):
    """Average 2x2 fields instead of striding, then project (type D: ResNet-D, He et al. 2019).

    If the stage dilates instead, the averages overlap, with zeros beyond the far border, as in timm.
    """
    if block.strides > 1:
        x = layers.AveragePooling2D(2, block.strides, "same", name=f"{name}_shortcut_pool")(x)
    elif block.stage_dilation > 1:
        x = layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"{name}_shortcut_pad")(x)
        x = layers.AveragePooling2D(2, 1, name=f"{name}_shortcut_pool")(x)
    return projection_shortcut(x, block._replace(strides=1), name)


def zero_padding_shortcut(x, block: Block, name):
    """Take every second position of the input, with zeros for the channels it lacks (type A): no weights.

    In taki0112's network, averages of 2x2 fields, with half of the zeros on either side.
    """
    averages = block.departures.averages_shortcut
    if block.strides > 1:
        size = 2 if averages else 1
        x = layers.AveragePooling2D(size, block.strides, "same", name=f"{name}_shortcut_pool")(x)
    padding, zeros = [(0, 0)] * 4, block.channels - x.shape[channel_axis()]
    padding[channel_axis()] = (zeros // 2, zeros - zeros // 2) if averages else (0, zeros)
    return ops.pad(x, padding)


def no_shortcut(x, block: Block, name):
    """Return None: the paper's ablation adds nothing to the paths (section 5.1, "Residual connections")."""
    return None


SHORTCUTS = {
    "identity": identity_shortcut,
    "A": zero_padding_shortcut,
    "B": projection_shortcut,
    "C": projection_shortcut,
    "D": average_shortcut,
    "none": no_shortcut,
}


def squeeze_and_excitation(x, block: Block, name):
    """Scale each channel by a function of all channels' averages (Hu et al. 2018, section 3)."""
    squeezed = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(x)
    y = convolution(squeezed, se_channels(block.channels), 1, f"{name}_excitation_1_conv", use_bias=True)
    y = layers.ReLU(name=f"{name}_excitation_relu")(y)
    y = convolution(y, block.channels, 1, f"{name}_excitation_2_conv", use_bias=True)
    y = layers.Activation("sigmoid", name=f"{name}_excitation_sigmoid")(y)
    return layers.Multiply(name=f"{name}_excitation")([x, y])


def efficient_channel_attention(x, block: Block, name):
    """Scale each channel by a function of the averages of the channels beside it (Wang et al. 2020, section 3.2)."""
    y = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(x)
    as_image = y.shape[1:]
    y = layers.Reshape((block.channels, 1), name=f"{name}_eca_channels")(y)
    size = eca_kernel(block.channels)
    options = {"padding": "same", "use_bias": False, "data_format": "channels_last"}
    y = layers.Conv1D(1, size, activation="sigmoid", name=f"{name}_eca_conv", **options)(y)
    y = layers.Reshape(as_image, name=f"{name}_eca_image")(y)
    return layers.Multiply(name=f"{name}_eca")([x, y])


ATTENTIONS = {"se": squeeze_and_excitation, "eca": efficient_channel_attention}


def identity_block(x, block: Block, name, form="c"):
    """Apply a block whose shortcut is its input: the shape stays the same.

    >>> x = keras.Input((56, 56, 256))
    >>> identity_block(x, Block(cardinality=32, group_width=4, channels=256), "block").shape
    (None, 56, 56, 256)
    """
    return _residual(x, block._replace(shortcut="identity"), name, form)


def downsampling_block(x, block: Block, name, form="c"):
    """Apply the first block of a stage: the shape changes, so the shortcut is one of the types in `SHORTCUTS`.

    >>> x = keras.Input((56, 56, 256))
    >>> downsampling_block(x, Block(32, group_width=8, channels=512, strides=2), "block").shape
    (None, 28, 28, 512)
    """
    return _residual(x, block, name, form)


def residual_stage(x, blocks: tuple[Block, ...], form="c"):
    """Apply the blocks of one stage (see `Variant.blocks_of`)."""
    for block in blocks:
        apply = identity_block if block.shortcut == "identity" else downsampling_block
        x = apply(x, block, block_name(block.stage, block.number), form)
    return x


def _residual(x, block: Block, name, form):
    aggregated = FORMS[form](x, block, name)
    shortcut = SHORTCUTS[block.shortcut](x, block, name)
    last, like = f"{name}_transition_norm", block.departures
    if not (block.attention or block.drop_path or like.activates_transition):
        return norm_activation(aggregated, last, block.activation, block.last_gamma, shortcut, like)
    before = block.activation if like.activates_transition else None
    y = norm_activation(aggregated, last, before, block.last_gamma, like=like)
    if block.attention:
        y = ATTENTIONS[block.attention](y, block, name)
    if block.drop_path:
        whole_image = (None, 1, 1, 1)  # dropped for one image of the batch, or kept
        y = layers.Dropout(block.drop_path, whole_image, name=f"{name}_drop_path")(y)
    y = y if shortcut is None else layers.Add(name=f"{name}_add")([y, shortcut])
    return layers.Activation(block.activation, name=f"{name}_activation")(y)
