"""The CIFAR-10 training of taki0112's ResNeXt-Tensorflow, and its network.

Code: https://github.com/taki0112/ResNeXt-Tensorflow (ResNeXt.py at 60bfd72): Nesterov momentum, L2 on every trainable
variable, drops before epochs 150 and 225 of 300, mirror images and padded crops. No accuracy was published.
What differs: the images are shuffled in each epoch, not once; test images are normalised as the training images are,
not by their own mean and deviation; an epoch leaves out the last 80 images, different ones each time; moving averages
begin at 0 and 1 without a correction. `--form b` computes the blocks as the original does, and c (the default) the same
function faster.
Command: python ResNeXt.py; here: resnext train cifar10 --recipe taki0112-cifar10 --out runs/cifar10
Cost: 300 epochs.
"""

from resnext.recipes.recipe import CIFAR10_MEAN, CIFAR10_STD, Published, Recipe

VARIANT = "resnext29_taki"
RECIPE = Recipe(
    name="taki0112-cifar10",
    epochs=300,
    batch_size=128,
    learning_rate=0.1,
    image_size=32,
    mean=CIFAR10_MEAN,
    std=CIFAR10_STD,
    schedule="steps",
    # The original divides the rate before epochs 150 and 225, counted from 1.
    steps=((149 / 300, 0.1), (224 / 300, 0.01)),
    weight_decay=5e-4,
    decay_all=True,
    pad=0.125,
)
PUBLISHED: tuple[Published, ...] = ()
