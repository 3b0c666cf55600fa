"""The ImageNet training of the paper.

Paper: Xie et al. 2017, https://arxiv.org/abs/1611.05431, section 4: crops of random scale and aspect ratio; SGD with
batches of 256 on 8 GPUs; learning rate 0.1, divided by 10 three times (every 30 epochs, as in fb.resnet.torch).
Command: resnext train imagenet --variant resnext50_32x4d --recipe paper-imagenet --out runs/resnext50
Cost: 100 epochs; ResNeXt-101 64x4d took 10 days on 8 M40 (section 5.1).
"""

from resnext.recipes.recipe import Published, Recipe

RECIPE = Recipe(
    name="paper-imagenet",
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
)
PUBLISHED = (
    Published("resnext50_32x4d", "ImageNet-1K", 22.2, "Table 3"),
    Published("resnext101_32x4d", "ImageNet-1K", 21.2, "Table 3"),
    Published("resnext101_64x4d", "ImageNet-1K", 20.4, "Table 4"),
)
