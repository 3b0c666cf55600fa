"""First training on a folder of photos, from scratch.

Paper: none; resnext's default.
Command: resnext train DATA --variant resnext14_8x4d --image-size 64 --out runs/first
Cost: 20 epochs; three minutes for 1,722 photos of 64 x 64 pixels on two CPU cores.
"""

from resnext.recipes.recipe import Published, Recipe

RECIPE = Recipe(
    name="photos",
    epochs=20,
    batch_size=64,
    learning_rate=0.1,
    warmup_epochs=2,
    weight_decay=5e-4,
    pad=0.125,
)
PUBLISHED: tuple[Published, ...] = ()
