"""ResNet Strikes Back, procedure A3: the short schedule.

Paper: Wightman, Touvron & Jégou 2021, https://arxiv.org/abs/2110.00476, Table 2; the result is timm's for
resnext50_32x4d.a3_in1k at 224 pixels. Every class of a mixed image has the target 1 (section 3).
Command: resnext train imagenet --variant resnext50_32x4d --recipe rsb-a3 --dtype mixed_float16 --out runs/resnext50
Cost: 100 epochs at 160 pixels, evaluated at 224.
"""

from resnext.recipes.recipe import Published, Recipe

RECIPE = Recipe(
    name="rsb-a3",
    epochs=100,
    batch_size=2048,
    learning_rate=8e-3,
    image_size=160,
    test_size=224,
    test_crop=0.95,
    interpolation="bicubic",
    schedule="cosine-from-start",
    final_rate=1e-6,
    warmup_epochs=5,
    warmup_start=1e-4,
    optimizer="lamb",
    weight_decay=0.02,
    zero_gamma=True,
    loss="binary",
    mixup=0.1,
    cutmix=1.0,
    crop="resized",
    rand_augment=6.0,
)
PUBLISHED = (Published("resnext50_32x4d", "ImageNet-1K", 20.742, "timm, resnext50_32x4d.a3_in1k"),)
