"""The parameters, multiply-adds and activations of a network in closed form: no network is built.

The counts follow the paper and its descendants (section 4, "FLOPs" are multiply-adds): convolutions and the classifier
count; batch norm adds parameters but neither multiply-adds nor activations. Activations are counted as in Radosavovic
et al. 2020 (https://arxiv.org/abs/2003.13678, section 3.1), including the max-pool's output.
"""

import math
from typing import NamedTuple

from resnext.variants.layer_table import Complexity, pooled_side, weighted_layers
from resnext.variants.names import as_variant
from resnext.variants.variant import Variant


class StageComplexity(NamedTuple):
    """One row of the paper's Table 1: a stage's output size and cost."""

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
    """Return the cost of the network for one image.

    Args:
        variant: name such as `"resnext50_32x4d"`, or a `Variant`.
        input_shape: (height, width, channels) in pixels; by default 224x224x3, or 32x32x3 with the CIFAR stem.
        classes: by default 1000, or 10 with the CIFAR stem.

    >>> complexity("resnext50_32x4d").parameters
    25028904
    """
    *_, head = weighted_layers(variant, input_shape, classes)
    return _sum([*(row.cost for row in stage_complexities(variant, input_shape)), head.cost()])


def stage_complexities(
    variant: str | Variant, input_shape: tuple[int, int, int] | None = None
) -> list[StageComplexity]:
    """Return the rows of the paper's Table 1 for a network, stage 1 (the stem) first."""
    variant = as_variant(variant)
    layers = list(weighted_layers(variant, input_shape))
    rows = []
    for number in range(1, len(variant.stages) + 2):
        own = [layer for layer in layers if layer.stage == number]
        end = own[-1]  # the transition
        costs = [layer.cost() for layer in own]
        if number == 2 and variant.stem == "imagenet":  # conv2 begins with the max-pool (Table 1)
            sides = pooled_side(rows[0].height, variant), pooled_side(rows[0].width, variant)
            costs.append(Complexity(activations=math.prod(sides) * rows[0].channels))
        rows.append(StageComplexity(number, end.height, end.width, end.kernel_shape[-1], _sum(costs)))
    return rows


def _sum(costs: list[Complexity]) -> Complexity:
    return Complexity(*map(sum, zip(*costs, strict=True)))
