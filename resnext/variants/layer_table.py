"""The layers with weights of a network, from the image to the classifier: their names, shapes and costs."""

import math
from collections.abc import Iterator
from typing import NamedTuple

from resnext.variants.naming import get_variant
from resnext.variants.variant import Stage, Variant

SE_REDUCTION = 16  # Hu et al. 2018, section 6.1


class Complexity(NamedTuple):
    """What a network costs."""

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
        """Of its weights and its batch norm's, by the names that they have in our files."""
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
    """Every layer with weights of a network in form c, from the image to the classifier.

    >>> [layer.name for layer in weighted_layers("resnext14_2x4d")][:2]
    ['stem_conv', 'stage2_block1_transform_1x1_conv']
    """
    variant = get_variant(variant) if isinstance(variant, str) else variant
    height, width, channels = input_shape or (variant.image_size, variant.image_size, 3)
    if variant.stem == "imagenet":
        height, width = _halve(height), _halve(width)
    side = 7 if variant.stem == "imagenet" and len(variant.stem_channels) == 1 else 3
    for number, filters in enumerate(variant.stem_channels, 1):
        name = stem_name(variant, number)
        yield WeightedLayer(1, f"{name}_conv", (side, side, channels, filters), height, width)
        channels = filters
    if variant.stem == "imagenet":
        height, width = pooled_side(height, variant), pooled_side(width, variant)
    for stage in variant.stages:
        for block in range(1, stage.blocks + 1):
            strides = stage.strides if block == 1 else 1
            yield from _block(f"stage{stage.number}_block{block}", height, width, channels, stage, variant, strides)
            height, width = (_halve(height), _halve(width)) if strides == 2 else (height, width)
            channels = stage.channels
    classes = (1000 if variant.stem == "imagenet" else 10) if classes is None else classes
    yield WeightedLayer(6, "predictions", (channels, classes), 1, 1, has_norm=False, has_bias=True)


def variant_shapes(variant: Variant, channels: int, classes: int | None, form: str = "c") -> dict[str, tuple[int, ...]]:
    """Names and shapes of all weights of a network for images of so many channels, with or without a head."""
    layers = list(weighted_layers(variant, (variant.image_size, variant.image_size, channels), classes or 1))
    layers = layers if classes else layers[:-1]
    shapes = {name: shape for layer in layers for name, shape in layer.weight_shapes().items()}
    if form == "sliced":  # each path sees its slice of the input only
        for name, (height, width, inputs, filters) in [(n, s) for n, s in shapes.items() if "_transform_1x1_conv" in n]:
            shapes[name] = (height, width, inputs // variant.cardinality, filters)
    return shapes


def stem_name(variant: Variant, number: int) -> str:
    """Of the stem's convolution with a number from 1, before `_conv` and `_norm`."""
    return "stem" if len(variant.stem_channels) == 1 else f"stem_{number}"


def downsamples(variant: Variant, stage: Stage, channels: int, strides: int) -> bool:
    """Whether the shortcut of a block that takes so many channels is other than its input."""
    return variant.shortcut in ("C", "none") or channels != stage.channels or strides != 1


def eca_kernel(channels: int) -> int:
    """The odd kernel size nearest above (log2(channels) + 1) / 2 (Wang et al. 2020, equation 12), at least 3."""
    size = int(abs(math.log2(channels) + 1) / 2)
    return max(size if size % 2 else size + 1, 3)


def se_channels(channels: int) -> int:
    """Of the squeezed vector: at least 8, and a multiple of 8 as timm rounds them, so for every bottleneck block."""
    return max(8, (channels // SE_REDUCTION + 4) // 8 * 8)


def _block(name, height, width, channels, stage, variant, strides) -> Iterator[WeightedLayer]:
    inner = variant.cardinality * stage.group_width
    out = (_halve(height), _halve(width)) if strides == 2 else (height, width)
    at_3x3 = (height, width) if variant.anti_aliasing else out
    number, before = stage.number, channels
    if variant.block == "bottleneck":
        yield WeightedLayer(number, f"{name}_transform_1x1_conv", (1, 1, channels, inner), height, width)
        before = inner
    grouped = (3, 3, before // variant.cardinality, inner)
    yield WeightedLayer(number, f"{name}_transform_3x3_conv", grouped, *at_3x3)
    if variant.shortcut not in ("A", "none") and downsamples(variant, stage, channels, strides):
        yield WeightedLayer(number, f"{name}_shortcut_conv", (1, 1, channels, stage.channels), *out)
    attended = stage.channels
    if variant.attention == "se":
        squeezed = se_channels(attended)
        for i, shape in enumerate([(1, 1, attended, squeezed), (1, 1, squeezed, attended)], 1):
            yield WeightedLayer(number, f"{name}_excitation_{i}_conv", shape, 1, 1, has_norm=False, has_bias=True)
    elif variant.attention == "eca":
        yield WeightedLayer(number, f"{name}_eca_conv", (eca_kernel(attended), 1, 1), attended, 1, has_norm=False)
    side = 1 if variant.block == "bottleneck" else 3
    yield WeightedLayer(number, f"{name}_transition_conv", (side, side, inner, attended), *out)


def _halve(side: int) -> int:
    return (side + 1) // 2  # stride 2 with symmetric padding


def pooled_side(side: int, variant: Variant) -> int:
    """After the stem's pool: 3x3 with a border on both sides or on the far one, or 2x2 averages."""
    return side // 2 if variant.stem_pool == "ceil" or variant.anti_aliasing else _halve(side)
