"""A recipe of three fields."""

from resnext.recipes.recipe import Recipe

PLAIN = Recipe("plain", epochs=3, batch_size=8, learning_rate=0.1)
