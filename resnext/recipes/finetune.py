"""Fine-tuning of pretrained weights on a folder of photos.

Paper: none; the usual practice (Kornblith et al. 2019, https://arxiv.org/abs/1805.08974, section 4.5), with the stem
and stage 2 frozen and lower learning rates in lower stages (Howard & Ruder 2018, https://arxiv.org/abs/1801.06146).
Command: resnext train DATA --variant resnext50_32x4d --weights WEIGHTS --recipe finetune --out runs/tuned
Cost: 10 epochs.
"""

from resnext.recipes.recipe import Published, Recipe

RECIPE = Recipe(
    name="finetune",
    epochs=10,
    batch_size=32,
    learning_rate=0.01,
    warmup_epochs=1,
    weight_decay=1e-4,
    test_crop=0.875,
    crop="resized",
    crop_area=(0.25, 1.0),
    label_smoothing=0.1,
    freeze=(1, 2),
    layer_decay=0.7,
)
PUBLISHED: tuple[Published, ...] = ()
