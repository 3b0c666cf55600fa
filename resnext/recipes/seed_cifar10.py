"""The CIFAR-10 training of implement-ResNeXt-with-keras.

Code: https://github.com/carmel-nzhinusoft/implement-ResNeXt-with-keras (training-on-cifar10.py at 1dc3944): Adam, five
learning rates, no augmentation. It subtracts each pixel's mean over the training images; this recipe subtracts the mean
colour. Its Adam is Keras's, with epsilon 1e-7; here epsilon is 1e-8.
Command: python training-on-cifar10.py; here: resnext train cifar10 --variant resnext50_4x32d --image-size 32 \
--recipe seed-cifar10 --out runs/cifar10
Cost: 200 epochs.
"""

from resnext.recipes.recipe import CIFAR10_MEAN, Published, Recipe

RECIPE = Recipe(
    name="seed-cifar10",
    epochs=200,
    batch_size=32,
    learning_rate=1e-3,
    mean=CIFAR10_MEAN,
    std=(1.0, 1.0, 1.0),
    schedule="steps",
    # The original counts epochs from 0 and compares with >: 81, 121, 161 and 181 are the first epochs of the rates.
    steps=((0.405, 0.1), (0.605, 0.01), (0.805, 0.001), (0.905, 0.0005)),
    optimizer="adamw",
    flip=False,
)
PUBLISHED: tuple[Published, ...] = ()
