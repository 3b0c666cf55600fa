"""The learning rate of every step."""

from __future__ import annotations

import math

import keras
from keras import ops
from keras.optimizers import schedules

from resnext.recipes.complete import CompleteRecipe


def learning_rates(recipe: CompleteRecipe, steps_per_epoch: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """Return the learning rate of every batch.

    Args:
        recipe: training recipe to use.
        steps_per_epoch: batches in one epoch.
    """
    if recipe.schedule == "steps":
        starts = [round(share * recipe.epochs) * steps_per_epoch for share, _ in recipe.steps]
        factors = [1.0, *(factor for _, factor in recipe.steps)]
        # Keras changes the rate after its boundary; here it changes at the first batch of an epoch.
        boundaries = [start - 1 for start in starts]
        return schedules.PiecewiseConstantDecay(boundaries, [recipe.learning_rate * factor for factor in factors])
    warmup = min(recipe.warmup_epochs * steps_per_epoch, recipe.epochs * steps_per_epoch // 2)
    if recipe.schedule == "cosine-from-start":
        start = recipe.learning_rate * recipe.warmup_start
        return CosineFromStart(recipe.learning_rate, recipe.final_rate, recipe.epochs * steps_per_epoch, start, warmup)
    return schedules.CosineDecay(
        initial_learning_rate=recipe.learning_rate * (recipe.warmup_start if warmup else 1.0),
        decay_steps=recipe.epochs * steps_per_epoch - warmup,
        alpha=recipe.final_rate / recipe.learning_rate,
        warmup_target=recipe.learning_rate if warmup else None,
        warmup_steps=warmup,
    )


class CosineFromStart(schedules.LearningRateSchedule):
    """Half a cosine over all steps, the first of which a linear warm-up replaces: the cosine does not wait for its end.

    Source: timm's `CosineLRScheduler` without `warmup_prefix`, which ResNet Strikes Back trained with,
    https://github.com/huggingface/pytorch-image-models/blob/main/timm/scheduler/cosine_lr.py.

    Args:
        rate: learning rate at the end of the warm-up and, without one, at the first step.
        final_rate: learning rate after the last step.
        steps: steps of the training.
        start: learning rate of the first step of the warm-up.
        warmup: steps of the warm-up.
    """

    def __init__(self, rate: float, final_rate: float, steps: int, start: float, warmup: int):
        self.rate, self.final_rate, self.steps, self.start, self.warmup = rate, final_rate, steps, start, warmup

    def __call__(self, step):
        step = ops.cast(step, "float32")
        rising = self.start + (self.rate - self.start) * step / max(1, self.warmup)
        share = (1 + ops.cos(math.pi * step / self.steps)) / 2
        return ops.where(step < self.warmup, rising, self.final_rate + (self.rate - self.final_rate) * share)

    def get_config(self):
        return {name: getattr(self, name) for name in ("rate", "final_rate", "steps", "start", "warmup")}
