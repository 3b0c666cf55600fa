"""A quick recipe and a class name that is no markup, for the tests of pages and curves."""

import dataclasses

from resnext import get_recipe

QUICK = dataclasses.replace(get_recipe("smoke"), image_size=24, epochs=2, learning_rate=0.003)
HOSTILE = "<script>alert(1)</script>&amp"
