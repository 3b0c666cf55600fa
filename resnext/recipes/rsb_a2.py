"""ResNet Strikes Back, procedure A2: the medium schedule.

Paper: Wightman, Touvron & Jégou 2021, https://arxiv.org/abs/2110.00476, Table 2; the result is timm's for
resnext50_32x4d.a2_in1k at 224 pixels. Every class of a mixed image has the target 1 (section 3).
Command: resnext train imagenet --variant resnext50_32x4d --recipe rsb-a2 --dtype mixed_float16 --out runs/resnext50
Cost: 300 epochs at 224 pixels.
"""

from resnext.recipes.recipe import Published, Recipe

RECIPE = Recipe(
    name="rsb-a2",
    epochs=300,
    batch_size=2048,
    learning_rate=5e-3,
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
    drop_path=0.05,
    mixup=0.1,
    cutmix=1.0,
    crop="resized",
    rand_augment=7.0,
    repeats=3,
)
PUBLISHED = (Published("resnext50_32x4d", "ImageNet-1K", 19.556, "timm, resnext50_32x4d.a2_in1k"),)
