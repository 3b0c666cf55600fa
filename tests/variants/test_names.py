"""Names of variants: what they say, which are published, and what is nearest to a wrong one."""

import dataclasses

import pytest

from resnext.variants.names import full_name, get_variant, list_variants

pytestmark = pytest.mark.once

EVERY_PUBLISHED = [
    "resnet18", "resnet34", "resnet50",
    *(f"resnext50_{row}" for row in ("2x40d", "4x24d", "8x14d", "32x4d", "64x4d")),
    "wide_resnet50_2", "resnet101",
    *(f"resnext101_{row}" for row in ("2x40d", "4x24d", "8x14d", "32x4d")),
    *(f"resnext101_{row}" for row in ("1x100d", "2x64d", "64x4d")),
    *(f"resnext101_{row}" for row in ("32x8d", "32x16d", "32x32d", "32x48d")),
    "wide_resnet101_2", "resnet152",
    *(f"resnext152_{row}" for row in ("32x4d", "64x4d")),
    *(f"resnext29_{row}" for row in ("8x64d", "16x64d")),
    "resnext50d_32x4d", "seresnext26d_32x4d", "seresnext26t_32x4d",
    *(f"seresnext{row}" for row in ("50_32x4d", "101_32x4d", "101_64x4d", "101_32x8d", "101d_32x8d")),
    "seresnextaa101d_32x8d", "seresnextaa201d_32x8d",
    *(f"legacy_seresnext{depth}_32x4d" for depth in (26, 50, 101)),
    "ecaresnext26t_32x4d", "ecaresnext50t_32x4d",
    *(f"resnet{depth}" for depth in (20, 32, 44, 56, 110)),
    "resnext50_wenga", "resnext29_taki",
]  # fmt: skip


def test_every_published_network_is_listed():
    assert list_variants() == EVERY_PUBLISHED


def test_pattern_selects():
    assert list_variants("resnext29*") == ["resnext29_8x64d", "resnext29_16x64d", "resnext29_taki"]
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


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("resnext50", r"Unknown variant 'resnext50': a name is resnext\{depth\}_.*Nearest: resnext50_32x4d"),
        ("ResNeXt-101", "Nearest: resnext101_32x4d"),
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
        ("resnext51_32x4d", "depth 51 is not one of 14, 26, 50, 101, .* 9n.2.*Nearest: resnext50_32x4d"),
        ("resnet19", r"depth 19 is not one of 10, 14, 18, .* 6n.2.*Nearest: resnet18"),
        ("resnet20d", "; legacy_, aa, d and t need the ImageNet stem. Nearest: resnet18"),
        ("seresnextaa29_8x64d", "; legacy_, aa, d and t need the ImageNet stem. Nearest: resnext26_8x64d"),
        ("resnext30_8x64d", "Nearest: resnext29_8x64d"),
        ("wide_resnet50_3", r"Unknown variant 'wide_resnet50_3': a name is .*Nearest: wide_resnet50_2$"),
        ("wide_resnet152_2", "a name is .*; or wide_resnet50_2, wide_resnet101_2, .*Nearest: wide_resnet50_2$"),
        ("wide_resnext50_2", "a name is .*Nearest: wide_resnet50_2$"),
        ("ig_resnext101_32x4d", "a name is .*Nearest: resnext101_32x4d$"),  # no such weights
        ("ssl_seresnext50_32x4d", "a name is .*Nearest: seresnext50_32x4d$"),
        ("resnext50_32x4d.tv_in1k", "a name is .*Nearest: resnext50_32x4d$"),  # weights
        ("ssl_resnext50_32x4d.tv_in1k", "a name is"),
        ("resnext2_8x64d", "Nearest: resnext11_8x64d"),
        ("resnext1_8x64d", "Nearest: resnext11_8x64d"),
    ],
)
def test_wrong_name_says_what_a_right_one_is(name, words):
    with pytest.raises(ValueError, match=words):
        get_variant(name)


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


@pytest.mark.parametrize("depth", [50, 101])
def test_a_wide_resnet_has_one_path_of_twice_the_width(depth):
    variant = get_variant(f"wide_resnet{depth}_2")
    assert variant == get_variant(f"resnext{depth}_1x128d")
    assert variant.name == f"wide_resnet{depth}_2"
    assert [stage.group_width for stage in variant.stages] == [128, 256, 512, 1024]
    assert [stage.channels for stage in variant.stages] == [256, 512, 1024, 2048]
    assert get_variant(f"wide_resnet{depth}_2-shortcut-A-sliced").name == f"wide_resnet{depth}_2-shortcut-A-sliced"
    assert get_variant(f"resnext{depth}d_1x128d").name == f"resnext{depth}d_1x128d"  # no library calls it wide


@pytest.mark.parametrize(
    ("name", "usual"),
    [
        ("tv_resnext50_32x4d", "resnext50_32x4d"),
        ("ig_resnext101_32x16d", "resnext101_32x16d"),  # timm's own table leads all four to 32x8d
        ("ssl_resnext101_32x4d", "resnext101_32x4d"),
        ("swsl_resnext101_32x8d", "resnext101_32x8d"),
        ("gluon_seresnext101_64x4d", "seresnext101_64x4d"),
        ("resnext101_32x48d_wsl", "resnext101_32x48d"),
        ("resnext50_32x4d_swsl", "resnext50_32x4d"),
        ("seresnext26tn_32x4d", "seresnext26t_32x4d"),
        ("se_resnext50_32x4d", "legacy_seresnext50_32x4d"),
        ("ssl_resnext50_32x4d-shortcut-C", "resnext50_32x4d-shortcut-C"),
    ],
)
def test_other_names_stand_for_the_network(name, usual):
    assert get_variant(name) == get_variant(usual)
    assert get_variant(name).name == usual


@pytest.mark.parametrize(
    ("changes", "end"),
    [
        ({}, ""),
        ({"shortcut": "none"}, "-shortcut-none"),
        ({"activation": "silu"}, "-activation-silu"),
        ({"stem_channels": (48,)}, "-stem-channels-48"),
        ({"blocks": (2, 3, 8, 3)}, "-blocks-2-3-8-3"),
        ({"drop_path": 0.1, "output_stride": 16}, "-drop-path-0.1-output-stride-16"),
    ],
)
def test_a_network_is_called_what_it_is(changes, end):
    """Also where its name is that of another: 16 blocks are 50 layers, wherever they are."""
    variant = dataclasses.replace(get_variant("resnext50_32x4d"), **changes)
    assert full_name(variant) == f"resnext50_32x4d{end}"
