"""Variants: the stages and blocks that follow from their numbers, and which are impossible."""

import dataclasses

import pytest

from resnext.variants.names import get_variant
from resnext.variants.variant import Variant

pytestmark = pytest.mark.once


def test_width_doubles_where_the_size_halves():
    stages = get_variant("resnext50_32x4d").stages
    assert [stage.number for stage in stages] == [2, 3, 4, 5]
    assert [stage.group_width for stage in stages] == [4, 8, 16, 32]
    assert [stage.channels for stage in stages] == [256, 512, 1024, 2048]
    assert [stage.strides for stage in stages] == [1, 2, 2, 2]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"blocks": (1, 1)}, r"3 stages \(CIFAR\) or 4 \(ImageNet\). Received: \(1, 1\)"),
        ({"blocks": (1, 0, 1)}, "must be whole and at least 1. Received"),
        ({"cardinality": 4.0}, "must be whole and at least 1. Received"),
        ({"cardinality": 0}, "must be whole and at least 1. Received"),
        ({"bottleneck_width": -4}, "must be whole and at least 1. Received"),
        ({"shortcut": "E"}, "`shortcut` must be one of 'A', 'B', 'C', 'D', 'none'. Received: 'E'"),
        ({"block": "basic"}, "A basic block has one path: `cardinality` must be 1. Received: 4"),
        ({"block": "wide"}, "`block` must be one of 'bottleneck', 'basic'. Received: 'wide'"),
        ({"stem_pool": "same"}, "`stem_pool` must be one of 'padded', 'ceil'. Received: 'same'"),
        ({"attention": "sk"}, "`attention` must be one of None, 'se', 'eca'. Received: 'sk'"),
        ({"anti_aliasing": "blur"}, "`anti_aliasing` must be one of None, 'average'. Received: 'blur'"),
        ({"activation": "gelu"}, "`activation` must be one of 'relu', 'silu', 'mish', 'elu'. Received: 'gelu'"),
        ({"output_stride": 4}, "`output_stride` must be one of 8, 16, 32. Received: 4"),
        ({"drop_path": 1.0}, "`drop_path` must be from 0 to below 1. Received: 1.0"),
        ({"drop_rate": -0.1}, "`drop_rate` must be from 0 to below 1. Received: -0.1"),
        (
            {"stem_channels": (32, 32, 64)},
            r"three with the ImageNet stem. Received: \(32, 32, 64\) with the cifar stem",
        ),
        ({"stem_channels": (0,)}, "must be whole and at least 1. Received"),
    ],
)
def test_impossible_variant_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(Variant((1, 1, 1), 4, 4), **change)


@pytest.mark.parametrize(
    ("output_stride", "strides", "dilations", "first"),
    [(32, [1, 2, 2, 2], [1, 1, 1, 1], [1, 1, 1, 1]),
     (16, [1, 2, 2, 1], [1, 1, 1, 2], [1, 1, 1, 1]),
     (8, [1, 2, 1, 1], [1, 1, 2, 4], [1, 1, 1, 2])],
)  # fmt: skip
def test_stages_dilate_where_they_may_not_stride(output_stride, strides, dilations, first):
    stages = dataclasses.replace(get_variant("resnext50_32x4d"), output_stride=output_stride).stages
    assert [stage.strides for stage in stages] == strides
    assert [stage.dilation for stage in stages] == dilations
    assert [stage.first_dilation for stage in stages] == first
    assert stages[-1].output_stride == output_stride


def test_blocks_have_the_facts_of_their_place():
    variant = get_variant("resnext50_32x4d")
    first, *others = variant.blocks_of(variant.stages[1])
    assert (first.input_channels, first.channels, first.strides, first.shortcut) == (256, 512, 2, "B")
    assert {(each.input_channels, each.strides, each.shortcut) for each in others} == {(512, 1, "identity")}
    assert [each.number for each in (first, *others)] == [1, 2, 3, 4]
    dropped = dataclasses.replace(variant, drop_path=0.15)
    drops = [block.drop_path for stage in dropped.stages for block in dropped.blocks_of(stage)]
    assert drops == pytest.approx([0.15 * i / 15 for i in range(16)])
