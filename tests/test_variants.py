import dataclasses

import pytest

from resnext.variants import PUBLISHED, Variant, get_variant, list_variants

EVERY_PUBLISHED = [
    *(f"resnext50_{row}" for row in ("1x64d", "2x40d", "4x24d", "8x14d", "32x4d", "64x4d")),
    *(f"resnext101_{row}" for row in ("1x64d", "2x40d", "4x24d", "8x14d", "32x4d")),
    *(f"resnext101_{row}" for row in ("1x100d", "2x64d", "64x4d")),
    *(f"resnext101_{row}" for row in ("32x8d", "32x16d", "32x32d", "32x48d")),
    *(f"resnext152_{row}" for row in ("1x64d", "32x4d", "64x4d")),
    *(f"resnext29_{row}" for row in ("8x64d", "16x64d")),
]


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
        ("resnext50", r"Unknown variant 'resnext50': a name is resnext\{depth\}_.*Nearest: resnext50_"),
        ("resnxt50_32x4d", "Nearest: resnext50_32x4d"),
        ("ResNeXt50_32x4d", "Nearest: resnext50_32x4d"),
        ("resnext50_032x4d", "a name is"),
        ("resnext50_32x4d ", "a name is"),
        ("resnext50_99999x4d", "a name is"),
        ("", "a name is"),
        ("resnext51_32x4d", "depth 51 is none of 14, 26, 50, 101 or 152 .* 9n.2.*Nearest: resnext50_32x4d"),
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
        ({"blocks": (1, 0, 1)}, "at least 1. Received"),
        ({"cardinality": 0}, "at least 1. Received"),
        ({"bottleneck_width": -4}, "at least 1. Received"),
        ({"shortcut": "D"}, "must be 'A', 'B' or 'C'. Received: 'D'"),
    ],
)
def test_impossible_variant_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(Variant((1, 1, 1), 4, 4), **change)


def test_published_errors_have_a_source():
    for errors in PUBLISHED.values():
        for error in errors:
            assert error.source
            assert 0 < (error.top5 or 1) < error.top1 < 100
