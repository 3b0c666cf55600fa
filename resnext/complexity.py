"""Parameters, multiply-adds and activations of a network in closed form: no network is built.

Counted as the paper and its descendants count (section 4, "FLOPs" are multiply-adds): convolutions and the
classifier; batch norm adds parameters but neither multiply-adds nor activations. Activations are counted as
Radosavovic et al. 2020 do (https://arxiv.org/abs/2003.13678, section 3.1), the max-pool's output included.
"""

from typing import NamedTuple

from resnext.variants import STEM_CHANNELS, Variant, get_variant


class Complexity(NamedTuple):
    """What a network costs."""

    parameters: int = 0  # trainable
    moving_statistics: int = 0  # of the batch norms; Keras counts them in `count_params()`
    multiply_adds: int = 0  # for one image
    activations: int = 0  # outputs of the convolutions, the max-pool and the classifier, for one image


class StageComplexity(NamedTuple):
    """One row of the paper's Table 1: a stage's output size and what it costs."""

    number: int
    height: int
    width: int
    channels: int
    cost: Complexity


def complexity(
    variant: str | Variant,
    input_shape: tuple[int, int, int] | None = None,
    classes: int | None = None,
) -> Complexity:
    """What the network costs for one image.

    Args:
        variant: a name such as `"resnext50_32x4d"`, or a `Variant`.
        input_shape: (height, width, channels) in pixels; by default 224x224x3, or 32x32x3 with the CIFAR stem.
        classes: by default 1000, or 10 with the CIFAR stem.

    >>> complexity("resnext50_32x4d").parameters
    25028904
    """
    *stages, (_, _, _, channels, _) = rows = stage_complexities(variant, input_shape)
    classes = classes or (1000 if len(stages) == 4 else 10)
    head = Complexity(parameters=channels * classes + classes, multiply_adds=channels * classes, activations=classes)
    return _sum([*(row.cost for row in rows), head])


def stage_complexities(
    variant: str | Variant, input_shape: tuple[int, int, int] | None = None
) -> list[StageComplexity]:
    """The rows of the paper's Table 1 for a network, stage 1 (the stem) first."""
    variant = get_variant(variant) if isinstance(variant, str) else variant
    height, width, channels = input_shape or (variant.image_size, variant.image_size, 3)
    if variant.stem == "imagenet":
        height, width = _halve(height), _halve(width)
        stem = _convolution(height, width, channels, STEM_CHANNELS, kernel_size=7)
        rows = [StageComplexity(1, height, width, STEM_CHANNELS, stem)]
        height, width = _halve(height), _halve(width)
        pool = Complexity(activations=height * width * STEM_CHANNELS)  # conv2 begins with it (Table 1)
    else:
        stem = _convolution(height, width, channels, STEM_CHANNELS, kernel_size=3)
        rows = [StageComplexity(1, height, width, STEM_CHANNELS, stem)]
        pool = Complexity()
    channels = STEM_CHANNELS
    for stage in variant.stages:
        costs = [pool] if stage.number == 2 else []
        for block in range(stage.blocks):
            strides = stage.strides if block == 0 else 1
            costs.append(_block(height, width, channels, stage, variant, strides))
            if strides == 2:
                height, width = _halve(height), _halve(width)
            channels = stage.channels
        rows.append(StageComplexity(stage.number, height, width, channels, _sum(costs)))
    return rows


def _block(height, width, channels, stage, variant, strides) -> Complexity:
    inner = variant.cardinality * stage.group_width
    out_height, out_width = (_halve(height), _halve(width)) if strides == 2 else (height, width)
    costs = [
        _convolution(height, width, channels, inner),
        _convolution(out_height, out_width, inner, inner, kernel_size=3, groups=variant.cardinality),
        _convolution(out_height, out_width, inner, stage.channels),
    ]
    changes_shape = channels != stage.channels or strides != 1
    if variant.shortcut == "C" or (variant.shortcut == "B" and changes_shape):
        costs.append(_convolution(out_height, out_width, channels, stage.channels))
    return _sum(costs)


def _convolution(height, width, channels, filters, kernel_size=1, groups=1) -> Complexity:
    """A convolution without bias and its batch norm, by its output size."""
    weights = kernel_size**2 * (channels // groups) * filters
    return Complexity(
        parameters=weights + 2 * filters,
        moving_statistics=2 * filters,
        multiply_adds=weights * height * width,
        activations=filters * height * width,
    )


def _halve(side: int) -> int:
    return (side + 1) // 2  # stride 2 with symmetric padding


def _sum(costs: list[Complexity]) -> Complexity:
    return Complexity(*map(sum, zip(*costs, strict=True)))
