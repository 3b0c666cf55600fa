"""What a training is told about before it starts: small sets, another batch size, long images."""

import dataclasses

import keras
import numpy as np
import pytest

from resnext.data.examples import Examples
from resnext.data.splits import Splits
from resnext.images.preprocessing import Preprocessing
from resnext.model.classifier import image_classifier, image_network
from resnext.recipes.complete import complete
from resnext.recipes.names import get_recipe
from resnext.runs.config import RunConfig, TrainingOptions
from resnext.runs.run import Run
from resnext.training import notes
from resnext.training.evaluation_weights import corrected_statistics
from resnext.training.notes import summary
from resnext.variants.names import get_variant


@pytest.mark.once
def test_small_sets_are_said():
    def examples(counts):
        labels = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
        return Examples(np.zeros((len(labels), 8, 8, 3), np.uint8), labels, ("cat", "dog", "owl"))

    enough, few = examples((30, 30, 30)), examples((3, 30, 9))
    assert notes.about_few(Splits(enough, enough, enough), get_recipe("photos"), is_tuning=False) == []
    assert notes.about_few(Splits(few, few, few), get_recipe("photos"), is_tuning=False) == [
        "few images: fewer than 10 to train on for 2 of 3 classes, the fewest 'cat' with 3; add photos, or start from "
        "published weights (--weights auto)",
        "few images: 42 to evaluate on, so one of them is 2.4 points of accuracy",
    ]
    (last,) = notes.about_few(Splits(enough, examples((60, 0, 0)), enough), get_recipe("photos"), is_tuning=False)
    assert last == "few images: none to evaluate on for 2 of 3 classes, the first 'dog'"
    for recipe, advice in (("finetune", "add photos, or train only the head, in a pass (--recipe probe)"),
                           ("probe", "add photos")):  # fmt: skip
        line = notes.about_few(Splits(few, enough, enough), get_recipe(recipe), is_tuning=True)[0]
        assert line.endswith(f"with 3; {advice}")


@pytest.mark.once
def test_another_training_than_that_of_the_weights_is_said(trained):
    run = Run.open(trained[0])
    recipe = run.config.recipe
    classes = run.config.classes
    same = f"weights: {run.folder} is continued by its own recipe, photos, because its classes are the same"
    assert notes.about_start(run, recipe, classes) == [same]
    other = dataclasses.replace(recipe, freeze=(1, 2), layer_decay=0.7)
    expected = "weights: their run was trained with freeze: (), not (1, 2); layer_decay: 1.0, not 0.7"
    assert notes.about_start(run, other, classes) == [same, expected]
    tuned = dataclasses.replace(other, name="finetune")
    (line,) = notes.about_start(run, tuned, classes)
    assert line.startswith("weights: their run was trained with recipe: 'photos', not 'finetune'; freeze: ()")
    assert notes.about_start(run, tuned, ("blue", "red", "violet"))[0] == (
        f"weights: the recipe is finetune, because the classes are not those of {run.folder}; new: violet; gone: green"
    )


@pytest.mark.once
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, []),
        ({"batch_size": 512, "learning_rate": 0.001}, []),
        (
            {"batch_size": 512},
            ["learning rate: that of rsb-a3, 0.008 for batches of 2,048; for 512, by the root, it would be 0.004"],
        ),
        (
            {"batch_size": 512, "learning_rate": 0.004},
            ["learning rate: 0.004, which is that of rsb-a3, 0.008 for batches of 2,048, by the root for 512"],
        ),
    ],
)
def test_a_rate_for_other_batches_is_said(changes, said):
    recipe = dataclasses.replace(get_recipe("rsb-a3"), **changes)
    recipe = complete(recipe, images=9_000, evaluated=9, image_size=32)
    part = Examples(np.zeros((9, 8, 8, 3), np.uint8), np.zeros(9, np.int32), ("a", "b"))
    images = Preprocessing(32, 32)
    config = RunConfig(get_variant("resnet8"), ("a", "b"), images, recipe, "photos", TrainingOptions(), {})
    lines = [*summary(config, Splits(part, part, part), None)]
    assert [line for line in lines if line.startswith("learning rate")] == said


@pytest.mark.once
def test_long_images_are_said():
    said = notes.about_shapes([(100, 100), (160, 40), (40, 100)], "crop")
    assert said == [
        "long images: half of them are at least 2.5 times as long as wide, and only their centre is evaluated; --fit "
        "squash or --fit pad keeps them complete"
    ]
    assert notes.about_shapes([(300, 200), (160, 40), (100, 100)], "crop") == []  # 3:2 is a usual photo
    assert notes.about_shapes([(160, 40)], "pad") == []
    assert notes.about_shapes([], "crop") == []


def test_moving_statistics_forget_their_start():
    preprocessing = Preprocessing(size=32, resize=32)
    classifier = image_classifier(image_network(get_variant("resnext14_2x4d"), 3, preprocessing), preprocessing)
    images = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3)).astype(np.uint8)
    norm = next(layer for layer in classifier._flatten_layers() if layer.name.endswith("norm"))
    for _ in range(3):
        classifier(images, training=True)
    moving = np.array(keras.ops.convert_to_numpy(norm.moving_mean))
    with corrected_statistics(classifier, 3):
        np.testing.assert_allclose(keras.ops.convert_to_numpy(norm.moving_mean), moving / (1 - 0.9**3), rtol=1e-5)
        inside = keras.ops.convert_to_numpy(classifier(images, training=False))
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(norm.moving_mean), moving)
    learning = keras.ops.convert_to_numpy(classifier(images, training=True))
    assert abs(inside - learning).max() < 0.02 * abs(learning).max()
