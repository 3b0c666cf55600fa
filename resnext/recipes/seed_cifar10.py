"""The CIFAR-10 training of implement-ResNeXt-with-keras, and its network.

Code: https://github.com/carmel-nzhinusoft/implement-ResNeXt-with-keras (training-on-cifar10.py at 1dc3944): Adam, five
learning rates, no augmentation. No accuracy was published, and on Keras 3 the original's paths all see the same slice.
What differs: the mean colour is subtracted, not the mean of each pixel; Adam's epsilon is 1e-8, not 1e-7; an epoch
leaves out the last 16 images, different ones each time. `--form b` computes the blocks as the original does, and c
(the default) the same function faster.
Command: python training-on-cifar10.py; here: resnext train cifar10 --recipe seed-cifar10 --out runs/cifar10
Cost: 200 epochs.
"""

from resnext.recipes.recipe import CIFAR10_MEAN, Published, Recipe

VARIANT = "resnext50_wenga"
RECIPE = Recipe(
    name="seed-cifar10",
    epochs=200,
    batch_size=32,
    learning_rate=1e-3,
    image_size=32,
    mean=CIFAR10_MEAN,
    std=(1.0, 1.0, 1.0),
    schedule="steps",
    # The original counts epochs from 0 and compares with >: 81, 121, 161 and 181 are the first epochs of the rates.
    steps=((0.405, 0.1), (0.605, 0.01), (0.805, 0.001), (0.905, 0.0005)),
    optimizer="adamw",
    flip=False,
)
PUBLISHED: tuple[Published, ...] = ()
