"""The ImageNet training of the original Torch code: as in the paper, with jitter and lighting.

Code: https://github.com/facebookresearch/ResNeXt (train.lua, datasets/imagenet.lua at 1f59a2c): drops after epochs 30,
60 and 90 of 100, colour jitter 0.4 in random order, lighting 0.1, decay of every parameter, Nesterov momentum.
Command: th main.lua -dataset imagenet -bottleneckType resnext_C -depth 50 -baseWidth 4 -cardinality 32 -batchSize 256 \
-nGPU 8 -nThreads 8 -shareGradInput true; here: resnext train imagenet --variant resnext50_32x4d \
--recipe torch-imagenet --out runs/resnext50
Cost: 100 epochs.
"""

from resnext.recipes.recipe import Published, Recipe

RECIPE = Recipe(
    name="torch-imagenet",
    epochs=100,
    batch_size=256,
    learning_rate=0.1,
    schedule="steps",
    steps=((0.3, 0.1), (0.6, 0.01), (0.9, 0.001)),
    weight_decay=1e-4,
    decay_all=True,
    test_crop=0.875,
    interpolation="bicubic",
    crop="sized",
    color_jitter=0.4,
    lighting=0.1,
)
PUBLISHED = (
    Published("resnext50_32x4d", "ImageNet-1K", 22.2, "README"),
    Published("resnext101_32x4d", "ImageNet-1K", 21.2, "README"),
    Published("resnext101_64x4d", "ImageNet-1K", 20.4, "README"),
)
