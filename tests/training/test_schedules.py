"""Learning rates: steps, warm-up and cosine."""

import dataclasses
from itertools import pairwise

import keras
import numpy as np
import pytest

from resnext.recipes.names import get_recipe
from resnext.training.schedules import learning_rates
from support.recipes import PLAIN


def rates(recipe, steps_per_epoch=4) -> list[float]:
    """The learning rate of every batch."""
    schedule = learning_rates(recipe, steps_per_epoch)
    return [float(keras.ops.convert_to_numpy(schedule(step))) for step in range(recipe.epochs * steps_per_epoch)]


@pytest.mark.parametrize(
    ("name", "first_epochs"),  # of each lower rate, from 1 on
    [
        ("paper-cifar", {151: 0.01, 226: 0.001}),
        ("torch-cifar", {148: 0.01, 223: 0.001}),
        ("taki0112-cifar10", {150: 0.01, 225: 0.001}),
        ("paper-imagenet", {31: 0.01, 61: 0.001, 91: 0.0001}),
        ("torch-imagenet", {31: 0.01, 61: 0.001, 91: 0.0001}),
        ("seed-cifar10", {82: 1e-4, 122: 1e-5, 162: 1e-6, 182: 5e-7}),
    ],
)
def test_steps_come_with_the_first_batch_of_an_epoch(name, first_epochs):
    given = rates(get_recipe(name), 2)
    drops = {1 + i // 2: b for i, (a, b) in enumerate(pairwise(given), 1) if a != b}
    assert [i % 2 for i, (a, b) in enumerate(pairwise(given), 1) if a != b] == [0] * len(first_epochs)
    assert drops == pytest.approx(first_epochs)


def test_a_warm_up_rises_in_a_line_and_a_cosine_falls_to_the_last_rate():
    given = rates(dataclasses.replace(PLAIN, epochs=10, warmup_epochs=2, warmup_start=0.1, final_rate=0.01))
    np.testing.assert_allclose(given[:8], np.linspace(0.01, 0.1, 9)[:8], rtol=1e-5)
    expected = 0.01 + 0.09 * (1 + np.cos(np.pi * np.arange(32) / 32)) / 2
    np.testing.assert_allclose(given[8:], expected, rtol=1e-4)
    short = rates(dataclasses.replace(PLAIN, epochs=1, warmup_epochs=5))
    np.testing.assert_allclose(short[:3], (0, 0.05, 0.1), rtol=1e-5)


def test_the_cosine_of_resnet_strikes_back_does_not_wait_for_the_warm_up():
    """timm's `CosineLRScheduler(t_initial=400, warmup_t=20, lr_min=1e-6, warmup_prefix=False)`, by its formula."""
    recipe = get_recipe("rsb-a3")
    assert {get_recipe(f"rsb-a{number}").schedule for number in (1, 2, 3)} == {"cosine-from-start"}
    given = rates(recipe)
    np.testing.assert_allclose(given[:20], 8e-7 + (8e-3 - 8e-7) * np.arange(20) / 20, rtol=1e-5)
    expected = 1e-6 + (8e-3 - 1e-6) * (1 + np.cos(np.pi * np.arange(20, 400) / 400)) / 2
    np.testing.assert_allclose(given[20:], expected, rtol=1e-4)
    assert rates(dataclasses.replace(recipe, warmup_epochs=0))[0] == pytest.approx(8e-3)
