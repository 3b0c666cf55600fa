"""First training on a folder of photos, from scratch.

Paper: none; resnext's default. Open values are chosen by the number of images (`resnext.recipes.complete`). Nothing is
mirrored, because left and right may differ, as in digits, letters, signs and hands.
Command: resnext train DATA
Cost: 20 epochs, or 1,000 steps on small sets; three minutes for 200 photos of 64 x 64 pixels on two CPU cores.
"""

from resnext.recipes.recipe import Published, Recipe

RECIPE = Recipe(
    name="photos",
    warmup_epochs=None,
    evaluate_every=None,
    weight_decay=5e-4,
    crop="resized",
    crop_area=(0.5, 1.0),
    pad=0.125,
    flip=False,
)
PUBLISHED: tuple[Published, ...] = ()
