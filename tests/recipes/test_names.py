"""The recipes by name: what was published, and how they are listed."""

import dataclasses
import json
import re

import pytest

from resnext.recipes.names import NAMES, get_entry, get_recipe
from resnext.recipes.recipe import Recipe
from support.command import refusal, resnext

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
