"""Recipes: what was published, what is allowed, and how the command line changes them."""

import dataclasses
import json
import re
from itertools import pairwise

import keras
import numpy as np
import pytest
from conftest import COLOURS, refusal, resnext, write_photos

from resnext.recipes.names import NAMES, get_entry, get_recipe
from resnext.recipes.recipe import Recipe, evaluation_preprocessing, training_preprocessing
from resnext.training.schedules import learning_rates

PLAIN = Recipe("plain", epochs=3, batch_size=8, learning_rate=0.1)

# From the papers and the code named in each recipe's file.
PUBLISHED = {
    "paper-imagenet": {"epochs": 100, "batch_size": 256, "learning_rate": 0.1, "weight_decay": 1e-4, "momentum": 0.9,
                       "crop": "sized", "color_jitter": 0.0, "lighting": 0.0, "decay_all": True},
    "paper-cifar": {"epochs": 300, "batch_size": 128, "learning_rate": 0.1, "weight_decay": 5e-4, "pad": 4 / 32},
    "torch-imagenet": {"epochs": 100, "crop": "sized", "color_jitter": 0.4, "lighting": 0.1, "nesterov": True,
                       "decay_all": True, "interpolation": "bicubic"},
    "torch-cifar": {"epochs": 300, "weight_decay": 5e-4, "decay_all": True, "nesterov": True, "flip": True},
    "seed-cifar10": {"epochs": 200, "batch_size": 32, "optimizer": "adamw", "weight_decay": 0.0, "learning_rate": 1e-3,
                     "flip": False, "pad": 0.0},
    "taki0112-cifar10": {"epochs": 300, "batch_size": 128, "learning_rate": 0.1, "weight_decay": 5e-4,
                         "nesterov": True},
    "torchvision-v2": {"epochs": 600, "batch_size": 1024, "learning_rate": 0.5, "nesterov": False, "repeats": 4,
                       "weight_decay": 2e-5, "decay_all": False, "trivial_augment": True, "erasing": 0.1, "mixup": 0.2,
                       "cutmix": 1.0, "label_smoothing": 0.1, "image_size": 176, "test_size": 224},
    "rsb-a1": {"epochs": 600, "batch_size": 2048, "learning_rate": 5e-3, "weight_decay": 0.01, "label_smoothing": 0.1,
               "drop_path": 0.05, "repeats": 3, "rand_augment": 7.0, "mixup": 0.2, "cutmix": 1.0, "loss": "binary",
               "optimizer": "lamb"},
    "rsb-a2": {"epochs": 300, "learning_rate": 5e-3, "weight_decay": 0.02, "label_smoothing": 0.0, "drop_path": 0.05,
               "repeats": 3, "rand_augment": 7.0, "mixup": 0.1},
    "rsb-a3": {"epochs": 100, "learning_rate": 8e-3, "weight_decay": 0.02, "label_smoothing": 0.0, "drop_path": 0.0,
               "repeats": 1, "rand_augment": 6.0, "mixup": 0.1, "image_size": 160, "test_size": 224},
}  # fmt: skip


@pytest.mark.once
@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_is_headed_by_its_source_its_command_and_its_cost(name):
    import importlib

    text = importlib.import_module(f"resnext.recipes.{name.replace('-', '_')}").__doc__
    assert re.search(r"^(Paper|Code): ", text, re.M)
    assert re.search(rf"resnext train .*--recipe\s+{name}|photos", text.replace("\n", " "))
    assert re.search(r"^Cost: ", text, re.M)
    assert get_recipe(name).name == name
    assert get_entry(name).title in text
    assert Recipe.from_json(json.loads(json.dumps(dataclasses.asdict(get_recipe(name))))) == get_recipe(name)


@pytest.mark.once
@pytest.mark.parametrize("name", PUBLISHED)
def test_constants_are_the_published_ones(name):
    recipe = dataclasses.asdict(get_recipe(name))
    assert {field: recipe[field] for field in PUBLISHED[name]} == PUBLISHED[name]


def rates(recipe, steps_per_epoch=4) -> list[float]:
    """The learning rate of every batch."""
    schedule = learning_rates(recipe, steps_per_epoch)
    return [float(keras.ops.convert_to_numpy(schedule(step))) for step in range(recipe.epochs * steps_per_epoch)]


@pytest.mark.parametrize(
    ("name", "first_epochs"),  # of each lower rate, from 1 on
    [
        ("paper-cifar", {151: 0.01, 226: 0.001}),
        ("torch-cifar", {148: 0.01, 223: 0.001}),
        ("taki0112-cifar10", {151: 0.01, 226: 0.001}),
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
        ("test_crop", 0.0, "above 0, at most 1"),
        ("layer_decay", 1.5, "above 0, at most 1"),
        ("rand_augment", 11, "from 0 to 10"),
        ("crop_area", (0.5, 0.2), "two shares in ascending order, above 0, at most 1"),
        ("crop_area", (0.5,), "two shares in ascending order, above 0, at most 1"),
        ("steps", ((0.5, 0.1), (0.2, 0.1)), "pairs of a share between 0 and 1, in ascending order, and a factor"),
        ("freeze", (1, 1), "distinct stages, numbered from 1"),
        ("flip", 1, "True or False"),
        ("optimizer", "adam", "one of sgd, adamw, lamb"),
        ("schedule", "linear", "one of cosine, steps"),
        ("loss", "mse", "one of cross-entropy, binary"),
        ("crop", "random", "one of centre, sized, resized"),
        ("interpolation", "nearest", "one of bilinear, bicubic"),
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
def test_recipes_are_listed_with_their_published_errors():
    listed = resnext("recipes").stdout
    for name in NAMES:
        assert re.search(rf"^\s*{name} ", listed, re.M)
    assert "3.65 % resnext29_8x64d, CIFAR-10 (Table 7)" in listed
    assert "19.474 % resnext50_32x4d, ImageNet-1K (timm, resnext50_32x4d.a1_in1k)" in listed


@pytest.mark.once
def test_unknown_recipe_is_one_line(tmp_path):
    for arguments in (["--recipe", "photo"], ["--recipe=photo"]):
        said = refusal(resnext("train", "digits", "--variant", "resnext14_2x4d", "--out", tmp_path / "run", *arguments))
        assert said.startswith("unknown recipe 'photo'. Did you mean photos? The recipes are photos, ")


@pytest.mark.once
def test_help_shows_the_values_of_the_recipe_that_is_asked_for():
    text = " ".join(resnext("train", "--recipe", "rsb-a2", "--help").stdout.replace("│", " ").split())
    assert "(default: 2048)" in text
    assert "(default: lamb)" in text
    assert "magnitude from 0 to 10" in text


@pytest.mark.once
def test_any_field_can_be_given_and_the_resolved_recipe_is_said_and_kept(tmp_path):
    photos = write_photos(tmp_path / "photos", COLOURS, 12)
    process = resnext(
        "train", photos, "--variant", "resnet8", "--out", tmp_path / "run", "--recipe", "paper-cifar",
        "--epochs", 2, "--batch-size", 8, "--image-size", 24, "--learning-rate", 0.004, "--steps", 0.5, 0.1,
        "--optimizer", "adamw", "--no-flip", "--crop", "resized", "--crop-area", 0.5, 1, "--accumulate", 2,
        "--mixup", 0.2, "--cutmix", 1, "--label-smoothing", 0.1, "--clip-norm", 5, "--ema", 0.5, "--drop-path", 0.1,
        "--zero-gamma", "--loss", "binary", "--rand-augment", 5, "--erasing", 0.2, "--repeats", 2, "--test-size", 32,
        "--no-decay-all", "--color-jitter", 0.4, "--lighting", 0.1, "--layer-decay", 0.9,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    recipe = json.loads((tmp_path / "run" / "config.json").read_text())["recipe"]
    given = {"name": "paper-cifar", "epochs": 2, "batch_size": 8, "image_size": 24, "steps": [[0.5, 0.1]],
             "optimizer": "adamw", "flip": False, "crop": "resized", "crop_area": [0.5, 1.0], "accumulate": 2,
             "mixup": 0.2, "clip_norm": 5.0, "ema": 0.5, "zero_gamma": True, "loss": "binary", "layer_decay": 0.9,
             "decay_all": False, "pad": 0.125, "test_size": 32}  # fmt: skip
    assert {field: recipe[field] for field in given} == given
    (said,) = [line for line in process.stderr.splitlines() if line.startswith("recipe paper-cifar: ")]
    for words in ("epochs 2", "optimizer adamw", "crop_area (0.5, 1.0)", "accumulate 2"):
        assert words in said
