"""Other libraries' names, in both directions, for every network that has one."""

import numpy as np
import pytest

from resnext.variants.layer_table import variant_shapes
from resnext.variants.names import get_variant, list_variants
from resnext.weights.foreign_names import KERAS_APPLICATIONS, layout_of_file, layout_of_variant, locate, to_torch

pytestmark = pytest.mark.once


@pytest.mark.parametrize("name", [name for name in list_variants() if "cifar" not in name])
def test_names_and_axes_of_torch_come_back(name):
    variant = get_variant(name)
    shapes = variant_shapes(variant, 3, 10)
    theirs = {
        each: array.shape
        for each, array in to_torch({n: np.empty(s, bool) for n, s in shapes.items()}, variant).items()
    }
    assert len(theirs) == len(shapes)
    layout = layout_of_file(theirs)
    assert layout == layout_of_variant(variant)
    assert {ours: place.shape for ours, place in locate(theirs, layout).items()} == shapes


def test_a_name_that_no_table_has_is_kept():
    assert KERAS_APPLICATIONS.our_name("conv2_block1_1_bn/gamma") == "stage2_block1_transform_1x1_norm/gamma"
    assert KERAS_APPLICATIONS.our_name("conv2_blockx_1_bn/gamma") == "conv2_blockx_1_bn/gamma"
    assert KERAS_APPLICATIONS.their_name("predictions/bias") == "probs/bias"
