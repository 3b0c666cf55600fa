"""Fine-tuning of pretrained weights on a folder of photos.

Paper: none; the usual practice (Kornblith et al. 2019, https://arxiv.org/abs/1805.08974, section 4.5), with the stem
and stage 2 frozen and lower learning rates in lower stages (Howard & Ruder 2018, https://arxiv.org/abs/1801.06146).
Nothing is mirrored, and epochs and batch size are chosen by the number of images, as in `photos`.
Command: resnext train DATA --weights auto
Cost: 10 epochs, or 300 steps on small sets.
"""

from resnext.recipes.recipe import Published, Recipe

RECIPE = Recipe(
    name="finetune",
    learning_rate=0.01,
    warmup_epochs=None,
    evaluate_every=None,
    weight_decay=1e-4,
    test_crop=0.875,
    crop="resized",
    crop_area=(0.25, 1.0),
    flip=False,
    label_smoothing=0.1,
    freeze=(1, 2),
    layer_decay=0.7,
)
PUBLISHED: tuple[Published, ...] = ()
