"""Out of memory: the parts of a step that a trial shows to fit."""

import dataclasses

import keras
import pytest

from resnext import Run, train
from resnext.errors import OutOfMemoryError
from resnext.training.fitting_steps import fitting_accumulate

pytestmark = pytest.mark.once


def least_memory(monkeypatch, most: int):
    """Let steps of more images than `most` run out of memory."""
    whole = keras.Model.train_on_batch

    def step(model, images, targets):
        if len(images) > most:
            raise MemoryError("RESOURCE_EXHAUSTED")
        return whole(model, images, targets)

    monkeypatch.setattr(keras.Model, "train_on_batch", step)


@pytest.mark.parametrize(("most", "parts"), [(8, 2), (2, 8), (0, None)])
def test_a_trial_finds_the_fewest_parts_that_fit(trained, monkeypatch, most, parts):
    config = Run.open(trained[0]).config
    least_memory(monkeypatch, most)
    assert fitting_accumulate(config, 16, MemoryError()) == parts
    accumulating = dataclasses.replace(config, recipe=dataclasses.replace(config.recipe, accumulate=2))
    assert fitting_accumulate(accumulating, 12, MemoryError()) == (4 if most == 8 else None)  # 12 is 4 times 3


def test_another_error_in_a_trial_ends_it(trained, monkeypatch):
    def fail(*arguments):
        raise ValueError("something else")

    monkeypatch.setattr(keras.Model, "train_on_batch", fail)
    assert fitting_accumulate(Run.open(trained[0]).config, 16, MemoryError()) is None


@pytest.mark.parametrize(
    ("most", "words"),
    [
        (
            4,
            "16 images of 24 pixels. --accumulate 4 fits: a trial of the same steps in parts had enough. Or use",
        ),
        (0, "16 images of 24 pixels. Use a lower --batch-size or --image-size, --accumulate, or --remat."),
    ],
)
def test_a_training_that_runs_out_of_memory_names_them(colours, tmp_path, monkeypatch, most, words):
    def fit(*arguments, **keywords):
        raise MemoryError

    monkeypatch.setattr(keras.Model, "fit", fit)
    least_memory(monkeypatch, most)
    with pytest.raises(OutOfMemoryError) as error:
        train(colours, "resnext11_4x4d", tmp_path / "run", epochs=1, batch_size=16, image_size=24)
    assert words in str(error.value)
