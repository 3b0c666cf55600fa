"""A small network and a quick recipe, where what is tested is the run."""

import dataclasses

from resnext.recipes.names import get_recipe

TINY = "resnet8"  # three basic blocks: what is tested is the run, not the network
QUICK = dataclasses.replace(get_recipe("photos"), image_size=24, epochs=3, batch_size=8, learning_rate=0.003)
