"""The second ImageNet training of torchvision ("IMAGENET1K_V2").

Code: https://github.com/pytorch/vision/pull/5935 and https://github.com/pytorch/vision/issues/3995. Average of the
weights: torchvision scales 0.99998 by batch size and epochs and applies it every 32 steps: 0.999966 per step.
Command: torchrun --nproc_per_node=8 train.py --model resnext50_32x4d --batch-size 128 --lr 0.5 --lr-scheduler \
cosineannealinglr --lr-warmup-epochs 5 --lr-warmup-method linear --auto-augment ta_wide --epochs 600 \
--random-erase 0.1 --weight-decay 0.00002 --norm-weight-decay 0.0 --label-smoothing 0.1 --mixup-alpha 0.2 \
--cutmix-alpha 1.0 --train-crop-size 176 --model-ema --val-resize-size 232 --ra-sampler --ra-reps 4; here: \
resnext train imagenet --variant resnext50_32x4d --recipe torchvision-v2 --out runs/resnext50
Cost: 600 epochs at 176 pixels.
"""

from resnext.recipes.recipe import Published, Recipe

RECIPE = Recipe(
    name="torchvision-v2",
    epochs=600,
    batch_size=1024,
    learning_rate=0.5,
    image_size=176,
    test_size=224,
    test_crop=224 / 232,
    warmup_epochs=5,
    warmup_start=0.01,
    nesterov=False,
    weight_decay=2e-5,
    ema=0.999966,
    label_smoothing=0.1,
    mixup=0.2,
    cutmix=1.0,
    crop="resized",
    trivial_augment=True,
    erasing=0.1,
    repeats=4,
)
PUBLISHED = (
    Published("resnext50_32x4d", "ImageNet-1K", 18.802, "torchvision, IMAGENET1K_V2"),
    Published("resnext101_32x8d", "ImageNet-1K", 17.166, "torchvision, IMAGENET1K_V2"),
    Published("resnext101_64x4d", "ImageNet-1K", 16.754, "torchvision, IMAGENET1K_V1"),
)
