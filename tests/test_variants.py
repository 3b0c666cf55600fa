import dataclasses

import pytest

from resnext.variants.layer_table import block_name, block_of, stage_of, weighted_layers
from resnext.variants.names import get_variant, list_variants
from resnext.variants.published import PUBLISHED
from resnext.variants.variant import Variant

pytestmark = pytest.mark.once

EVERY_PUBLISHED = [
    "resnet18", "resnet34", "resnet50",
    *(f"resnext50_{row}" for row in ("2x40d", "4x24d", "8x14d", "32x4d", "64x4d")),
    "resnet101",
    *(f"resnext101_{row}" for row in ("2x40d", "4x24d", "8x14d", "32x4d")),
    *(f"resnext101_{row}" for row in ("1x100d", "2x64d", "64x4d")),
    *(f"resnext101_{row}" for row in ("32x8d", "32x16d", "32x32d", "32x48d")),
    "resnet152",
    *(f"resnext152_{row}" for row in ("32x4d", "64x4d")),
    *(f"resnext29_{row}" for row in ("8x64d", "16x64d")),
    "resnext50d_32x4d", "seresnext26d_32x4d", "seresnext26t_32x4d",
    *(f"seresnext{row}" for row in ("50_32x4d", "101_32x4d", "101_64x4d", "101_32x8d", "101d_32x8d")),
    "seresnextaa101d_32x8d", "seresnextaa201d_32x8d",
    *(f"legacy_seresnext{depth}_32x4d" for depth in (26, 50, 101)),
    "ecaresnext26t_32x4d", "ecaresnext50t_32x4d",
    *(f"resnet{depth}" for depth in (20, 32, 44, 56, 110)),
]  # fmt: skip


def test_every_published_network_is_listed():
    assert list_variants() == EVERY_PUBLISHED


def test_pattern_selects():
    assert list_variants("resnext29*") == ["resnext29_8x64d", "resnext29_16x64d"]
    assert list_variants("nothing") == []


@pytest.mark.parametrize("name", EVERY_PUBLISHED)
def test_name_is_made_from_the_numbers(name):
    assert get_variant(name).name == name


@pytest.mark.parametrize(
    ("name", "blocks", "stem"),
    [
        ("resnext14_1x1d", (1, 1, 1, 1), "imagenet"),
        ("resnext26_8x4d", (2, 2, 2, 2), "imagenet"),
        ("resnext50_32x4d", (3, 4, 6, 3), "imagenet"),
        ("resnext101_64x4d", (3, 4, 23, 3), "imagenet"),  # 101 is 9n+2 as well
        ("resnext152_64x4d", (3, 8, 36, 3), "imagenet"),
        ("resnext11_4x4d", (1, 1, 1), "cifar"),
        ("resnext29_8x64d", (3, 3, 3), "cifar"),
        ("resnext164_3x7d", (18, 18, 18), "cifar"),
        ("resnet10t", (1, 1, 1, 1), "imagenet"),
        ("resnet18", (2, 2, 2, 2), "imagenet"),
        ("resnet34d", (3, 4, 6, 3), "imagenet"),
        ("resnet200", (3, 24, 36, 3), "imagenet"),
        ("seresnextaa201d_32x8d", (3, 24, 36, 4), "imagenet"),
        ("resnet20", (3, 3, 3), "cifar"),  # 20 is 9n+2 as well
        ("resnet110", (18, 18, 18), "cifar"),
    ],
)
def test_depth_gives_stem_and_stages(name, blocks, stem):
    variant = get_variant(name)
    assert (variant.blocks, variant.stem) == (blocks, stem)


def test_width_doubles_where_the_size_halves():
    stages = get_variant("resnext50_32x4d").stages
    assert [stage.number for stage in stages] == [2, 3, 4, 5]
    assert [stage.group_width for stage in stages] == [4, 8, 16, 32]
    assert [stage.channels for stage in stages] == [256, 512, 1024, 2048]
    assert [stage.strides for stage in stages] == [1, 2, 2, 2]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("resnext50", r"Unknown variant 'resnext50': a name is resnext\{depth\}_.*Nearest: resnet50"),
        ("resnet50_32x4d", "a name is .*Nearest: resnext50_32x4d"),
        ("legacy_seresnet50", "a name is .*Nearest: legacy_seresnext50_32x4d"),  # its blocks are others
        ("legacy_resnext50_32x4d", "a name is"),
        ("ecaseresnext50_32x4d", "a name is"),
        ("resnxt50_32x4d", "Nearest: resnext50_32x4d"),
        ("resnext14_8x4dd", "Nearest: resnext14_8x4d"),
        ("resnext11_2x4", "Nearest: resnext11_2x4d"),
        ("ResNeXt50_32x4d", "Nearest: resnext50_32x4d"),
        ("resnext50_032x4d", "a name is"),
        ("resnext50_32x4d ", "a name is"),
        ("resnext50_99999x4d", "a name is"),
        ("", "a name is"),
        ("resnext51_32x4d", "depth 51 is none of 14, 26, 50, 101, .* 9n.2.*Nearest: resnext50_32x4d"),
        ("resnet19", r"depth 19 is none of 10, 14, 18, .* 6n.2.*Nearest: resnet18"),
        ("resnet20d", "; legacy_, aa, d and t need the ImageNet stem. Nearest: resnet18"),
        ("seresnextaa29_8x64d", "; legacy_, aa, d and t need the ImageNet stem. Nearest: resnext26_8x64d"),
        ("resnext30_8x64d", "Nearest: resnext29_8x64d"),
        ("resnext2_8x64d", "Nearest: resnext11_8x64d"),
        ("resnext1_8x64d", "Nearest: resnext11_8x64d"),
    ],
)
def test_wrong_name_says_what_a_right_one_is(name, words):
    with pytest.raises(ValueError, match=words):
        get_variant(name)


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


def test_options_are_read_from_the_name():
    variant = get_variant("seresnextaa101d_32x8d")
    assert (variant.attention, variant.anti_aliasing, variant.shortcut) == ("se", "average", "D")
    assert variant.stem_channels == (32, 32, 64)
    assert get_variant("seresnextaa201d_32x8d").stem_channels == (64, 64, 128)
    assert get_variant("ecaresnext50t_32x4d").stem_channels == (24, 32, 64)
    assert get_variant("legacy_seresnext50_32x4d").stem_pool == "ceil"
    cifar = get_variant("resnet20")
    assert (cifar.block, cifar.shortcut, cifar.stem_channels) == ("basic", "A", (16,))
    assert [stage.channels for stage in cifar.stages] == [16, 32, 64]
    assert get_variant("resnext50_1x64d") == get_variant("resnet50")


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


def test_published_errors_have_a_source():
    for errors in PUBLISHED.values():
        for error in errors:
            assert error.source
            assert 0 < (error.top5 or 1) < error.top1 < 100


@pytest.mark.parametrize("name", ["resnext50_32x4d", "resnext29_8x64d", "seresnext26t_32x4d", "resnet20", "resnet18"])
def test_layer_names_say_where_they_are(name):
    """One grammar: what `block_name` writes, `stage_of` and `block_of` read."""
    for layer in weighted_layers(name):
        stage = stage_of(layer.name)
        assert (6 if stage is None else stage) == layer.stage
        if block := block_of(layer.name):
            assert layer.name.startswith(f"{block_name(*block)}_")
    assert stage_of("stemless") is stage_of("stage6_block1_x") is block_of("stage2_blocks") is None


def test_blocks_have_the_facts_of_their_place():
    variant = get_variant("resnext50_32x4d")
    first, *others = variant.blocks_of(variant.stages[1])
    assert (first.input_channels, first.channels, first.strides, first.shortcut) == (256, 512, 2, "B")
    assert {(each.input_channels, each.strides, each.shortcut) for each in others} == {(512, 1, "identity")}
    assert [each.number for each in (first, *others)] == [1, 2, 3, 4]
    dropped = dataclasses.replace(variant, drop_path=0.15)
    drops = [block.drop_path for stage in dropped.stages for block in dropped.blocks_of(stage)]
    assert drops == pytest.approx([0.15 * i / 15 for i in range(16)])
