"""The learning rate of every step."""

from __future__ import annotations

import keras
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
    return schedules.CosineDecay(
        initial_learning_rate=recipe.learning_rate * (recipe.warmup_start if warmup else 1.0),
        decay_steps=recipe.epochs * steps_per_epoch - warmup,
        alpha=recipe.final_rate / recipe.learning_rate,
        warmup_target=recipe.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
