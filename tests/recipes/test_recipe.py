"""Recipes: what their fields may be, and what follows from them."""

import dataclasses
import re

import numpy as np
import pytest

from resnext.recipes.names import get_recipe
from resnext.recipes.recipe import evaluation_preprocessing, training_preprocessing
from support.recipes import PLAIN


@pytest.mark.once
def test_sizes_and_colours_follow_the_recipe():
    recipe = get_recipe("torchvision-v2")
    assert (
        training_preprocessing(recipe).size,
        evaluation_preprocessing(recipe).size,
        evaluation_preprocessing(recipe).resize,
    ) == (176, 224, 232)
    whole = dataclasses.replace(get_recipe("finetune"), image_size=224, fit="pad")  # nothing of it is cropped
    assert (evaluation_preprocessing(whole).size, evaluation_preprocessing(whole).resize) == (224, 224)
    recipe = dataclasses.replace(get_recipe("paper-imagenet"), image_size=224)
    assert (
        evaluation_preprocessing(recipe).size,
        evaluation_preprocessing(recipe).resize,
        evaluation_preprocessing(recipe).interpolation,
    ) == (224, 256, "bicubic")
    recipe = dataclasses.replace(get_recipe("paper-cifar"), image_size=32)
    np.testing.assert_allclose(255 * np.array(evaluation_preprocessing(recipe).mean), (125.3, 123.0, 113.9), atol=0.02)
    np.testing.assert_allclose(255 * np.array(training_preprocessing(recipe).std), (63.0, 62.1, 66.7), atol=0.02)


@pytest.mark.once
@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("epochs", -1, "a whole number, at least 1"),
        ("epochs", 1.5, "a whole number, at least 1"),
        ("epochs", True, "a whole number, at least 1"),
        ("batch_size", 0, "a whole number, at least 1"),
        ("repeats", 0, "a whole number, at least 1"),
        ("warmup_epochs", -1, "a whole number, at least 0"),
        ("image_size", 0, "a whole number, at least 1, or None"),
        ("test_size", -3, "a whole number, at least 1, or None"),
        ("learning_rate", np.nan, "finite and above 0"),
        ("learning_rate", np.inf, "finite and above 0"),
        ("learning_rate", "0.1", "finite and above 0"),
        ("clip_norm", 0.0, "finite and above 0, or None"),
        ("weight_decay", -1e-4, "finite and at least 0"),
        ("pad", np.nan, "finite and at least 0"),
        ("mixup", -1.0, "finite and at least 0"),
        ("momentum", 1, "at least 0 and below 1"),
        ("label_smoothing", 1.0, "at least 0 and below 1"),
        ("erasing", 1.1, "from 0 to 1"),
        ("greyscale", -0.1, "from 0 to 1"),
        ("greyscale", 1.1, "from 0 to 1"),
        ("blur", np.nan, "from 0 to 1"),
        ("blur", 2, "from 0 to 1"),
        ("rotate", -1.0, "from 0 to 180"),
        ("rotate", 181, "from 0 to 180"),
        ("hue", -0.1, "from 0 to 0.5"),
        ("hue", 0.6, "from 0 to 0.5"),
        ("test_crop", 0.0, "above 0, at most 1"),
        ("layer_decay", 1.5, "above 0, at most 1"),
        ("rand_augment", 11, "from 0 to 10"),
        ("crop_area", (0.5, 0.2), "two shares in ascending order, above 0, at most 1"),
        ("crop_area", (0.5,), "two shares in ascending order, above 0, at most 1"),
        ("steps", ((0.5, 0.1), (0.2, 0.1)), "pairs of a share between 0 and 1, in ascending order, and a factor"),
        ("freeze", (1, 1), "distinct stages, numbered from 1"),
        ("flip", 1, "True or False"),
        ("vertical_flip", 1, "True or False"),
        ("optimizer", "adam", "one of sgd, adamw, lamb, lbfgs"),
        ("schedule", "linear", "one of cosine, cosine-from-start, steps"),
        ("loss", "mse", "one of cross-entropy, binary"),
        ("crop", "random", "one of centre, sized, resized"),
        ("interpolation", "nearest", "one of bilinear, bicubic"),
        ("focal", -1.0, "finite and at least 0"),
        ("class_weights", 1.5, "from 0 to 1"),
        ("sampling", "weighted", "one of uniform, balanced"),
        ("best_by", "f1", "one of top1, macro_f1, balanced_accuracy, log_loss, auc, map, micro_f1"),
        ("patience", 0, "a whole number, at least 1"),
    ],
)
def test_recipe_refuses_what_it_cannot_do(field, value, allowed):
    if field == "accumulate":
        allowed = "divide the batch size, 8, into equal parts"
        with pytest.raises(
            ValueError, match=r"^`accumulate` must divide the batch size, 8, into equal parts. Received: 3$"
        ):
            dataclasses.replace(PLAIN, accumulate=3)
        return
    with pytest.raises(ValueError, match=re.escape(f"`{field}` must be {allowed}. Received: {value}")):
        dataclasses.replace(PLAIN, **{field: value})


@pytest.mark.once
def test_a_batch_is_accumulated_in_equal_parts():
    with pytest.raises(
        ValueError, match=r"^`accumulate` must divide the batch size, 8, into equal parts. Received: 3$"
    ):
        dataclasses.replace(PLAIN, accumulate=3)


@pytest.mark.once
def test_schedules_refuse_what_belongs_to_the_other():
    with pytest.raises(
        ValueError, match=r"^`steps` belong to the schedule 'steps', which needs at least one. Received"
    ):
        dataclasses.replace(PLAIN, schedule="steps")
    with pytest.raises(ValueError, match=r"^`steps` belong to the schedule 'steps'.*'cosine'$"):
        dataclasses.replace(PLAIN, steps=((0.5, 0.1),))
    with pytest.raises(ValueError, match=r"^`warmup_epochs` belong to the schedule 'cosine'. Received: 2$"):
        dataclasses.replace(get_recipe("paper-cifar"), warmup_epochs=2)


@pytest.mark.once
def test_an_imbalance_is_made_up_for_once():
    with pytest.raises(
        ValueError, match=r"`class_weights` and `sampling` 'balanced' both .* Pass one of them. Received"
    ):
        dataclasses.replace(PLAIN, class_weights=1.0, sampling="balanced")
    with pytest.raises(
        ValueError, match=r"`sampling` 'balanced' draws images several times already. Leave `repeats` out"
    ):
        dataclasses.replace(PLAIN, repeats=2, sampling="balanced")
