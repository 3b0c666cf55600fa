"""The CIFAR training of the paper.

Paper: Xie et al. 2017, https://arxiv.org/abs/1611.05431, appendix A: only 32x32 crops of the padded image or its
mirror image; batches of 128 on 8 GPUs; 300 epochs with drops at 150 and 225. The padding is zero after normalising,
which is the mean colour. For CIFAR-100, the Torch code uses --mean 0.5071 0.4867 0.4408 --std 0.2675 0.2565 0.2761.
Command: resnext train cifar10 --variant resnext29_8x64d --recipe paper-cifar --out runs/cifar10
Cost: 300 epochs.
"""

from resnext.recipes.recipe import CIFAR10_MEAN, CIFAR10_STD, Published, Recipe

RECIPE = Recipe(
    name="paper-cifar",
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
PUBLISHED = (
    Published("resnext29_8x64d", "CIFAR-10", 3.65, "Table 7"),
    Published("resnext29_16x64d", "CIFAR-10", 3.58, "Table 7"),
    Published("resnext29_8x64d", "CIFAR-100", 17.77, "Table 7"),
    Published("resnext29_16x64d", "CIFAR-100", 17.31, "Table 7"),
)
