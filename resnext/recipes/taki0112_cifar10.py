"""The CIFAR-10 training of taki0112's ResNeXt-Tensorflow.

Code: https://github.com/taki0112/ResNeXt-Tensorflow (ResNeXt.py at 60bfd72): Nesterov momentum, L2 on every trainable
variable, drops at epochs 150 and 225 of 300, mirror images and padded crops. No accuracy was published.
Command: python ResNeXt.py; here: resnext train cifar10 --variant resnext29_8x64d --recipe taki0112-cifar10 \
--out runs/cifar10
Cost: 300 epochs.
"""

from resnext.recipes.recipe import CIFAR10_MEAN, CIFAR10_STD, Published, Recipe

RECIPE = Recipe(
    name="taki0112-cifar10",
    epochs=300,
    batch_size=128,
    learning_rate=0.1,
    mean=CIFAR10_MEAN,
    std=CIFAR10_STD,
    schedule="steps",
    steps=((0.5, 0.1), (0.75, 0.01)),
    weight_decay=5e-4,
    decay_all=True,
    pad=0.125,
)
PUBLISHED: tuple[Published, ...] = ()
