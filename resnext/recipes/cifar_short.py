"""Short CIFAR training for two CPU cores: few epochs, a cosine schedule and label smoothing.

Paper: none; SGD with a short cosine as in He et al. 2019 (https://arxiv.org/abs/1812.01187), sections 3.1 and 5.
Command: resnext train cifar10 --variant resnext14_8x4d --image-size 64 --recipe cifar-short --dtype mixed_bfloat16 \
--out runs/cifar10
Cost: 30 epochs; docs/results.md has the measurements.
"""

from resnext.recipes.recipe import Published, Recipe

RECIPE = Recipe(
    name="cifar-short",
    epochs=30,
    batch_size=128,
    learning_rate=0.1,
    warmup_epochs=3,
    weight_decay=5e-4,
    zero_gamma=True,
    label_smoothing=0.1,
    interpolation="bicubic",
    pad=0.125,
)
PUBLISHED: tuple[Published, ...] = ()
