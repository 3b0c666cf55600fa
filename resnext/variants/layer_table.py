"""The layers with weights of a network, from the image to the classifier: their names, shapes and costs."""

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

from resnext.variants.names import as_variant
from resnext.variants.variant import Block, Variant

SE_REDUCTION = 16  # Hu et al. 2018, section 6.1
_IN_BLOCK = re.compile(r"stage([2-5])_block([1-9][0-9]{0,2})_")


class Complexity(NamedTuple):
    """The cost of a network."""

    parameters: int = 0  # trainable
    moving_statistics: int = 0  # of the batch norms; Keras counts them in `count_params()`
    multiply_adds: int = 0  # for one image
    activations: int = 0  # outputs of the convolutions, the max-pool and the classifier, for one image


class WeightedLayer(NamedTuple):
    """A convolution, or the classifier, and whether batch norm follows it."""

    stage: int  # 1 is the stem, 6 the head
    name: str
    kernel_shape: tuple[int, ...]
    height: int  # of the output
    width: int
    has_norm: bool = True
    has_bias: bool = False

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of its weights and those of its batch norm, by name in resnext's files."""
        vector = self.kernel_shape[-1:]
        shapes = {f"{self.name}/kernel": self.kernel_shape}
        if self.has_bias:
            shapes[f"{self.name}/bias"] = vector
        if self.has_norm:
            norm = self.name.removesuffix("_conv") + "_norm"
            shapes |= {f"{norm}/{weight}": vector for weight in ("gamma", "beta", "moving_mean", "moving_variance")}
        return shapes

    def cost(self) -> Complexity:
        weights, filters, positions = math.prod(self.kernel_shape), self.kernel_shape[-1], self.height * self.width
        return Complexity(
            parameters=weights + filters * (2 * self.has_norm + self.has_bias),
            moving_statistics=2 * filters * self.has_norm,
            multiply_adds=weights * positions,
            activations=filters * positions,
        )


def weighted_layers(
    variant: str | Variant, input_shape: tuple[int, int, int] | None = None, classes: int | None = None
) -> Iterator[WeightedLayer]:
    """Yield every layer with weights of a network in form c, from the image to the classifier.

    Args:
        variant: name, or a `Variant`.
        input_shape: (height, width, channels) in pixels; by default the variant's size and three channels.
        classes: number of classes; by default the variant's.

    >>> [layer.name for layer in weighted_layers("resnext14_2x4d")][:2]
    ['stem_conv', 'stage2_block1_transform_1x1_conv']
    """
    variant = as_variant(variant)
    height, width, channels = input_shape or (variant.image_size, variant.image_size, 3)
    for name, filters, side, strides in variant.stem_convolutions:
        height, width = _strided(height, strides), _strided(width, strides)
        kernel = (side, side, channels, filters)
        yield WeightedLayer(1, f"{name}_conv", kernel, height, width, has_bias=variant.departures.has_bias)
        channels = filters
    if variant.stem == "imagenet":
        height, width = pooled_side(height, variant), pooled_side(width, variant)
    for stage in variant.stages:
        for block in variant.blocks_of(stage):
            yield from _block_layers(block, height, width)
            height, width = _strided(height, block.strides), _strided(width, block.strides)
            channels = block.channels
    classes = variant.default_classes if classes is None else classes
    departures = variant.departures
    if departures.keeps_positions:
        channels *= _strided(height, 2) * _strided(width, 2)
    kernel = (channels, classes)
    yield WeightedLayer(6, "predictions", kernel, 1, 1, has_norm=False, has_bias=departures.head_has_bias)


def variant_shapes(
    variant: Variant, channels: int, classes: int | None, sides: tuple[int, int] | None = None
) -> dict[str, tuple[int, ...]]:
    """Return names and shapes of all weights of a network, in any form.

    Args:
        variant: variant of the network.
        channels: channels of its images.
        classes: number of classes; None for a network without a head.
        sides: height and width of its images, on which the head of `resnext50_wenga` depends; by default the variant's.
    """
    sides = sides or (variant.image_size, variant.image_size)
    layers = list(weighted_layers(variant, (*sides, channels), classes or 1))
    layers = layers if classes else layers[:-1]
    return {name: shape for layer in layers for name, shape in layer.weight_shapes().items()}


def block_name(stage: int, block: int) -> str:
    """Return the name of a residual block, the prefix of its layers' names.

    >>> block_name(3, 1)
    'stage3_block1'
    """
    return f"stage{stage}_block{block}"


def block_of(name: str) -> tuple[int, int] | None:
    """Return the stage and the number of the block that a layer or weight belongs to; None outside of blocks.

    >>> block_of("stage3_block1_transition_conv/kernel")
    (3, 1)
    """
    match = _IN_BLOCK.match(name)
    return (int(match[1]), int(match[2])) if match else None


def stage_of(name: str) -> int | None:
    """Return the stage that a layer or weight belongs to: 1 is the stem, 2 to 5 are residual, None is the head.

    >>> stage_of("stem_conv/kernel"), stage_of("predictions/bias")
    (1, None)
    """
    block = block_of(name)
    return block[0] if block else 1 if name.startswith("stem_") else None


def eca_kernel(channels: int) -> int:
    """Return the odd kernel size nearest above (log2(channels) + 1) / 2 (Wang et al. 2020, eq. 12), at least 3."""
    size = int(abs(math.log2(channels) + 1) / 2)
    return max(size if size % 2 else size + 1, 3)


def se_channels(channels: int) -> int:
    """Return the channels of the squeezed vector: a multiple of 8, as timm rounds them, and at least 8."""
    return max(8, (channels // SE_REDUCTION + 4) // 8 * 8)


def _block_layers(block: Block, height: int, width: int) -> Iterator[WeightedLayer]:
    """Yield the layers of a block whose input is height x width."""
    inner, channels, number = block.inner_channels, block.channels, block.stage
    out = _strided(height, block.strides), _strided(width, block.strides)
    at_1x1 = out if block.departures.strides_at == "1x1" else (height, width)
    at_3x3 = (height, width) if block.anti_aliasing else out
    bias = block.departures.has_bias

    def layer(part: str, shape: tuple[int, ...], height: int, width: int, **facts: bool) -> WeightedLayer:
        return WeightedLayer(number, f"{block_name(number, block.number)}_{part}", shape, height, width, **facts)

    before = block.input_channels
    if block.kind == "bottleneck":
        seen = before // block.cardinality if block.sliced else before
        yield layer("transform_1x1_conv", (1, 1, seen, inner), *at_1x1, has_bias=bias)
        before = inner
    yield layer("transform_3x3_conv", (3, 3, before // block.cardinality, inner), *at_3x3, has_bias=bias)
    if block.shortcut in ("B", "C", "D"):
        yield layer("shortcut_conv", (1, 1, block.input_channels, channels), *out, has_bias=bias)
    if block.attention == "se":
        squeezed = se_channels(channels)
        yield layer("excitation_1_conv", (1, 1, channels, squeezed), 1, 1, has_norm=False, has_bias=True)
        yield layer("excitation_2_conv", (1, 1, squeezed, channels), 1, 1, has_norm=False, has_bias=True)
    elif block.attention == "eca":
        yield layer("eca_conv", (eca_kernel(channels), 1, 1), channels, 1, has_norm=False)
    side = 1 if block.kind == "bottleneck" else 3
    yield layer("transition_conv", (side, side, inner, channels), *out, has_bias=bias)


def _strided(side: int, strides: int) -> int:
    return -(-side // strides)  # padded symmetrically


def pooled_side(side: int, variant: Variant) -> int:
    """Return the side after the stem's pool: 3x3 with a border on both sides, on the far one or none; 2x2 averages."""
    if not variant.departures.pads_pool:
        return (side - 1) // 2
    return side // 2 if variant.stem_pool == "ceil" or variant.anti_aliasing else _strided(side, 2)
