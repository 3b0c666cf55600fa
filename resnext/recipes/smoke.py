"""One epoch of small batches, to check that everything runs.

Paper: none.
Command: resnext train DATA --variant resnext14_2x4d --image-size 32 --recipe smoke --out runs/smoke
Cost: one epoch.
"""

from resnext.recipes.recipe import Published, Recipe

RECIPE = Recipe(name="smoke", epochs=1, batch_size=8, learning_rate=0.01)
PUBLISHED: tuple[Published, ...] = ()
