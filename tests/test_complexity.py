"""Golden counts. Sources: torchvision's and pycls's own counts, and the same formula by hand for the rest."""

import dataclasses

import keras
import pytest

from resnext.complexity import complexity, stage_complexities
from resnext.model import ResNeXt
from resnext.variants import get_variant

# name, classes: trainable parameters, batch-norm statistics, multiply-adds in 1e9
GOLDEN = {
    ("resnext50_1x64d", 1000): (25_557_032, 53_120, 4.089),
    ("resnext50_2x40d", 1000): (25_425_000, 56_896, 4.125),
    ("resnext50_4x24d", 1000): (25_292_968, 60_672, 4.160),
    ("resnext50_8x14d", 1000): (25_603_016, 64_448, 4.267),
    ("resnext50_32x4d", 1000): (25_028_904, 68_224, 4.230),
    ("resnext50_64x4d", 1000): (45_192_488, 98_432, 7.981),
    ("resnext101_1x64d", 1000): (44_549_160, 105_344, 7.801),
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
    ("resnext152_1x64d", 1000): (60_192_808, 151_424, 11.514),
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
    "resnext50_1x64d": (25_557_032, 4_089_185_256, 11_315_688),
    "resnext50_32x4d": (25_028_904, 4_230_480_872, 14_602_216),
    "resnext101_32x4d": (44_177_704, 7_969_997_800, 21_426_152),
    "resnext152_32x4d": (59_951_400, 11_709_514_728, 29_855_720),
}


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


@pytest.mark.parametrize(
    "name", ["resnext14_3x5d", "resnext26_8x4d", "resnext50_32x4d", "resnext101_64x4d", "resnext29_8x64d"]
)
def test_counts_equal_those_of_the_built_network(name):
    size = get_variant(name).image_size
    network = ResNeXt(name, input_shape=(size, size, 3), classes=7)
    cost = complexity(name, classes=7)
    assert sum(_size(weight) for weight in network.trainable_weights) == cost.parameters
    assert network.count_params() == cost.parameters + cost.moving_statistics


@pytest.mark.parametrize("shortcut", ["A", "B", "C"])
@pytest.mark.parametrize("shape", [(32, 32, 3), (65, 47, 1), (33, 40, 5)])
def test_shapes_costs_and_activations_follow_the_layers(shortcut, shape):
    variant = dataclasses.replace(get_variant("resnext26_4x4d"), shortcut=shortcut)
    network = ResNeXt(variant, input_shape=shape, classes=9)
    cost = complexity(variant, shape, classes=9)
    assert network.count_params() == cost.parameters + cost.moving_statistics
    multiply_adds = activations = 0
    for layer in network.layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
            outputs = _size(layer.output)
            multiply_adds += outputs * _size(layer.kernel) // layer.kernel.shape[-1]
            activations += outputs
        elif isinstance(layer, keras.layers.MaxPooling2D):
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
