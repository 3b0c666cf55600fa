"""Golden counts. Sources: torchvision's and pycls's own counts, and the same formula by hand for the rest."""

import dataclasses
import math

import keras
import pytest

from resnext.model.network import ResNeXt
from resnext.variants.complexity import complexity, stage_complexities
from resnext.variants.names import get_variant

pytestmark = pytest.mark.once

# name, classes: trainable parameters, batch-norm statistics, multiply-adds in 1e9
GOLDEN = {
    ("resnet50", 1000): (25_557_032, 53_120, 4.089),
    ("resnext50_2x40d", 1000): (25_425_000, 56_896, 4.125),
    ("resnext50_4x24d", 1000): (25_292_968, 60_672, 4.160),
    ("resnext50_8x14d", 1000): (25_603_016, 64_448, 4.267),
    ("resnext50_32x4d", 1000): (25_028_904, 68_224, 4.230),
    ("resnext50_64x4d", 1000): (45_192_488, 98_432, 7.981),
    ("resnet101", 1000): (44_549_160, 105_344, 7.801),
    ("resnext101_2x40d", 1000): (44_456_296, 113_472, 7.844),
    ("resnext101_4x24d", 1000): (44_363_432, 121_600, 7.886),
    ("resnext101_8x14d", 1000): (45_104_328, 129_728, 8.077),
    ("resnext101_32x4d", 1000): (44_177_704, 137_856, 7.970),
    ("resnext101_1x100d", 1000): (85_611_336, 123_632, 15.273),
    ("resnext101_2x64d", 1000): (84_198_184, 137_856, 15.123),
    ("resnext101_64x4d", 1000): (83_455_272, 202_880, 15.460),
    ("resnext101_32x8d", 1000): (88_791_336, 202_880, 16.414),
    ("resnext101_32x16d", 1000): (194_026_792, 332_928, 36.163),
    ("resnext101_32x32d", 1000): (468_530_472, 593_024, 87.107),
    ("resnext101_32x48d", 1000): (828_411_176, 853_120, 153.310),
    ("resnet152", 1000): (60_192_808, 151_424, 11.514),
    ("resnext152_32x4d", 1000): (59_951_400, 199_296, 11.710),
    ("resnext152_64x4d", 1000): (114_971_944, 295_040, 22.939),
    ("resnext29_1x64d", 10): (4_914_250, 19_840, 0.748),
    ("resnext29_2x64d", 10): (9_130_314, 25_216, 1.411),
    ("resnext29_4x64d", 10): (17_562_442, 35_968, 2.736),
    ("resnext29_8x64d", 10): (34_426_698, 57_472, 5.387),
    ("resnext29_16x64d", 10): (68_155_210, 100_480, 10.689),
    ("resnext29_1x128d", 10): (13_775_178, 25_216, 2.091),
    ("resnext29_1x256d", 10): (45_431_626, 35_968, 6.813),
    ("resnext29_32x4d", 10): (4_775_754, 25_216, 0.774),
    ("resnext29_1x192d", 10): (27_280_970, 30_592, 4.112),
    ("resnext29_1x320d", 10): (68_227_146, 41_344, 10.194),
    ("resnext29_1x64d", 100): (5_006_500, 19_840, 0.748),
    ("resnext29_8x64d", 100): (34_518_948, 57_472, 5.387),
    ("resnext29_16x64d", 100): (68_247_460, 100_480, 10.689),
}

# pycls, dev/model_complexity.json (commit 5719de6); it counts the classifier's biases as multiply-adds, we do not.
PYCLS = {
    "resnet50": (25_557_032, 4_089_185_256, 11_315_688),
    "resnext50_32x4d": (25_028_904, 4_230_480_872, 14_602_216),
    "resnext101_32x4d": (44_177_704, 7_969_997_800, 21_426_152),
    "resnext152_32x4d": (59_951_400, 11_709_514_728, 29_855_720),
}

# timm 1.0.31 on PyTorch 2.14.1: parameters, running statistics, and multiply-adds counted by hooks on its convolutions
# and its classifier at 224 pixels.
TIMM = {
    "ecaresnext26t_32x4d": (15_406_220, 38_640, 2_678_783_488),
    "ecaresnext50t_32x4d": (25_045_686, 68_336, 4_438_597_376),
    "legacy_seresnext26_32x4d": (16_790_280, 38_528, 2_472_099_840),
    "legacy_seresnext50_32x4d": (27_559_896, 68_224, 4_232_994_816),
    "legacy_seresnext101_32x4d": (48_955_416, 137_856, 7_974_739_968),
    "resnext50d_32x4d": (25_048_136, 68_352, 4_470_120_448),
    "seresnext26d_32x4d": (16_809_512, 38_656, 2_711_740_416),
    "seresnext26t_32x4d": (16_806_976, 38_640, 2_680_129_536),
    "seresnext50_32x4d": (27_559_896, 68_224, 4_232_994_816),
    "seresnext101_32x4d": (48_955_416, 137_856, 7_974_739_968),
    "seresnext101_32x8d": (93_569_048, 202_880, 16_418_758_656),
    "seresnext101_64x4d": (88_232_984, 202_880, 15_465_013_248),
    "seresnext101d_32x8d": (93_588_280, 203_008, 16_658_399_232),
    "seresnextaa101d_32x8d": (93_588_280, 203_008, 17_178_624_000),
    "seresnextaa201d_32x8d": (149_394_904, 356_864, 34_276_270_080),
    "resnet18": (11_689_512, 9_600, 1_814_073_344),
    "resnet34": (21_797_672, 17_024, 3_663_761_408),
    "resnet18d": (11_708_744, 9_728, 2_053_713_920),
    "resnet10t": (5_435_488, 5_872, 1_097_259_008),
    "resnet34d": (21_816_904, 17_152, 3_903_401_984),
    "resnet26t": (16_011_872, 30_960, 2_550_286_336),
    "resnet50d": (25_576_264, 53_248, 4_328_824_832),
    "seresnet50": (28_088_024, 53_120, 4_091_699_200),
    "ecaresnet50d": (25_576_350, 53_248, 4_328_912_640),
    "resnetaa50d": (25_576_264, 53_248, 5_369_274_368),
    "seresnet18": (11_779_624, 9_600, 1_814_161_408),
    "resnet200d": (64_693_064, 176_128, 15_247_122_432),
    "resnet200": (64_673_832, 176_000, 15_007_481_856),
}

# torchvision's metadata, `num_params` and `_ops`: parameters, and multiply-adds in 1e9.
TORCHVISION = {"wide_resnet50_2": (68_883_240, 11.398), "wide_resnet101_2": (126_886_696, 22.753)}

# He et al. 2016, section 4.2, count millions; these are the same formula by hand.
HE = {"resnet20": 269_722, "resnet32": 464_154, "resnet44": 658_586, "resnet56": 853_018, "resnet110": 1_727_962}


@pytest.mark.parametrize(("name", "classes"), GOLDEN)
def test_counts_are_golden(name, classes):
    parameters, moving_statistics, giga = GOLDEN[name, classes]
    cost = complexity(name, classes=classes)
    assert (cost.parameters, cost.moving_statistics) == (parameters, moving_statistics)
    assert round(cost.multiply_adds / 1e9, 3) == giga


@pytest.mark.parametrize("name", PYCLS)
def test_counts_are_those_of_the_papers_authors(name):
    cost = complexity(name)
    assert (cost.parameters, cost.multiply_adds + 1000, cost.activations) == PYCLS[name]


@pytest.mark.parametrize("name", TIMM)
def test_counts_of_the_wider_family_are_timms(name):
    cost = complexity(name)
    assert (cost.parameters, cost.moving_statistics, cost.multiply_adds) == TIMM[name]


@pytest.mark.parametrize("name", TORCHVISION)
def test_counts_of_the_wide_resnets_are_torchvisions(name):
    cost = complexity(name)
    assert (cost.parameters, round(cost.multiply_adds / 1e9, 3)) == TORCHVISION[name]


@pytest.mark.parametrize("name", HE)
def test_counts_of_the_first_resnets_for_cifar(name):
    assert complexity(name).parameters == HE[name]


@pytest.mark.parametrize(
    "name",
    [
        "resnext14_3x5d",
        "resnext26_8x4d",
        "resnext50_32x4d",
        "resnext101_64x4d",
        "resnext29_8x64d",
        "resnet18d",
        "resnet20",
        "seresnextaa14d_2x4d",
        "ecaresnext14t_2x4d",
        "legacy_seresnext14_2x4d",
    ],
)
def test_counts_equal_those_of_the_built_network(name):
    size = get_variant(name).image_size
    network = ResNeXt(name, input_shape=(size, size, 3), classes=7)
    cost = complexity(name, classes=7)
    assert sum(_size(weight) for weight in network.trainable_weights) == cost.parameters
    assert network.count_params() == cost.parameters + cost.moving_statistics


OPTIONS = [
    *({"shortcut": shortcut} for shortcut in ("A", "B", "C", "D", "none")),
    *({"shortcut": shortcut, "output_stride": 8} for shortcut in "BD"),
    {"stem_channels": (8, 16, 24), "attention": "se"},
    {"stem_pool": "ceil", "attention": "eca"},
    {"anti_aliasing": "average", "shortcut": "D", "output_stride": 16},
    {"block": "basic", "cardinality": 1, "bottleneck_width": 8},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("shape", [(32, 32, 3), (65, 47, 1), (33, 40, 5)])
def test_shapes_costs_and_activations_follow_the_layers(options, shape):
    variant = dataclasses.replace(get_variant("resnext26_4x4d"), **options)
    network = ResNeXt(variant, input_shape=shape, classes=9)
    cost = complexity(variant, shape, classes=9)
    assert network.count_params() == cost.parameters + cost.moving_statistics
    multiply_adds = activations = 0
    for layer in network.layers:
        if isinstance(layer, keras.layers.Conv1D | keras.layers.Conv2D | keras.layers.Dense):
            outputs = _size(layer.output)
            multiply_adds += outputs * _size(layer.kernel) // layer.kernel.shape[-1]
            activations += outputs
        elif layer.name == "stem_pool":
            activations += _size(layer.output)
    assert (cost.multiply_adds, cost.activations) == (multiply_adds, activations)


def test_rows_are_those_of_table_1():
    rows = stage_complexities("resnext50_32x4d")
    assert [(row.number, row.height, row.width, row.channels) for row in rows] == [
        (1, 112, 112, 64), (2, 56, 56, 256), (3, 28, 28, 512), (4, 14, 14, 1024), (5, 7, 7, 2048),
    ]  # fmt: skip


def _size(tensor) -> int:
    size = 1
    for side in tensor.shape:
        size *= side or 1
    return size


@pytest.mark.parametrize("name", ["resnext29_8x64d", "resnet20", "resnext14_2x4d"])
def test_the_default_classes_are_those_of_the_network(name):
    """`complexity` counted 10 classes with the CIFAR stem where `ResNeXt` built 1000."""
    assert complexity(name).parameters == sum(math.prod(w.shape) for w in ResNeXt(name).trainable_weights)
