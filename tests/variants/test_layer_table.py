"""Names of layers: one grammar to write and to read them."""

import pytest

from resnext.variants.layer_table import block_name, block_of, stage_of, weighted_layers

pytestmark = pytest.mark.once


@pytest.mark.parametrize("name", ["resnext50_32x4d", "resnext29_8x64d", "seresnext26t_32x4d", "resnet20", "resnet18"])
def test_layer_names_say_where_they_are(name):
    """One grammar: what `block_name` writes, `stage_of` and `block_of` read."""
    for layer in weighted_layers(name):
        stage = stage_of(layer.name)
        assert (6 if stage is None else stage) == layer.stage
        if block := block_of(layer.name):
            assert layer.name.startswith(f"{block_name(*block)}_")
    assert stage_of("stemless") is stage_of("stage6_block1_x") is block_of("stage2_blocks") is None
