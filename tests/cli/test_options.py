"""Options from the fields of a recipe: shown with its values, given, said and kept."""

import json

import pytest

from support.command import resnext
from support.photos import COLOURS, write_photos


@pytest.mark.once
def test_help_shows_the_values_of_the_recipe_that_is_asked_for():
    text = " ".join(resnext("train", "--recipe", "rsb-a2", "--help").stdout.replace("│", " ").split())
    assert "[2048]" in text
    assert "[lamb]" in text
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
