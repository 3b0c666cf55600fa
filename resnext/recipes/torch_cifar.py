"""The CIFAR training of the original Torch code: as in the paper, with drops two epochs earlier.

Code: https://github.com/facebookresearch/ResNeXt (train.lua, datasets/cifar10.lua at 1f59a2c): the learning rate drops
when epoch / epochs exceeds 0.49 and 0.74, that is, from epochs 148 and 223 of 300 on.
Command: th main.lua -dataset cifar10 -bottleneckType resnext_C -depth 29 -baseWidth 64 -cardinality 16 \
-weightDecay 5e-4 -batchSize 128 -nGPU 8 -nThreads 8 -shareGradInput true; here: resnext train cifar10 \
--variant resnext29_16x64d --recipe torch-cifar --out runs/cifar10
Cost: 300 epochs.
"""

from resnext.recipes.recipe import CIFAR10_MEAN, CIFAR10_STD, Published, Recipe

RECIPE = Recipe(
    name="torch-cifar",
    epochs=300,
    batch_size=128,
    learning_rate=0.1,
    mean=CIFAR10_MEAN,
    std=CIFAR10_STD,
    schedule="steps",
    steps=((0.49, 0.1), (0.74, 0.01)),
    weight_decay=5e-4,
    decay_all=True,
    pad=0.125,
)
PUBLISHED = (
    Published("resnext29_8x64d", "CIFAR-10", 3.65, "Table 7 of the paper"),
    Published("resnext29_16x64d", "CIFAR-10", 3.58, "Table 7 of the paper"),
)
