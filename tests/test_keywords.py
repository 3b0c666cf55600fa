"""The verbs of Python accept the options of the command line by the same words."""

import dataclasses

import pytest
from make_keywords import FILES, PACKAGE, text

from resnext import (
    EvaluationOptions,
    Recipe,
    Run,
    TrainingOptions,
    evaluate,
    export,
    get_recipe,
    predict,
    resume,
    train,
)
from resnext.errors import ArgumentError, RunError
from support.photos import COLOURS, write_photos

pytestmark = pytest.mark.once
TINY = "resnext11_2x4d"


def test_the_words_of_the_verbs_are_those_of_their_options():
    """After another field: python tests/make_keywords.py"""
    for path, classes in FILES.items():
        assert (PACKAGE / path).read_text() == text(classes), path
    names = [field.name for options in (Recipe, TrainingOptions) for field in dataclasses.fields(options)]
    assert len(names) == len(set(names))


def test_a_training_takes_its_options_by_name(tmp_path):
    data = write_photos(tmp_path / "photos", COLOURS, 6)
    out = tmp_path / "run"
    result = train(data, TINY, out, recipe="smoke", epochs=1, image_size=32, batch_size=6, seed=3, held_out=0.5)
    config = Run.open(out).config
    assert (config.recipe.name, config.recipe.epochs, config.recipe.batch_size) == ("smoke", 1, 6)
    assert (config.options.seed, config.options.held_out) == (3, 0.5)
    assert len(result.test.labels) == 9
    whole = evaluate(out, data, options=EvaluationOptions(size=(32, 40), batch_size=2))
    assert evaluate(out, data, size=[32, 40], batch_size=2).losses.tolist() == whole.losses.tolist()
    predictions = predict(out, data, top=1)
    assert (predictions.engine, sum(1 for _ in predictions)) == ("keras", 18)
    with pytest.raises(RunError, match=r"was started with epochs: 1, not 2"):
        resume(out, epochs=2)


@pytest.mark.parametrize(
    ("verb", "word", "hint"),
    [
        (lambda **words: train("digits", **words), "epoch", "Did you mean epochs?"),
        (lambda **words: train("digits", recipe=get_recipe("smoke"), **words), "wieghts", "Did you mean weights?"),
        (lambda **words: train("digits", **words), "name", "Its options are accumulate, "),
        (lambda **words: resume("run", **words), "seeds", "Did you mean seed?"),
        (lambda **words: evaluate("run", "digits", **words), "sizes", "Did you mean size?"),
        (lambda **words: predict("run", "x.png", **words), "treshold", "Did you mean threshold?"),
        (lambda **words: export("run", "x.onnx", **words), "type", "Did you mean dtype?"),
    ],
)
def test_another_word_gets_the_nearest_one(verb, word, hint, trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").symlink_to(trained[0])
    with pytest.raises(ArgumentError) as refused:
        verb(**{word: 1})
    assert f"() has no option {word!r}." in str(refused.value)
    assert hint in str(refused.value)


def test_values_are_checked_as_those_of_the_command_line(tmp_path):
    with pytest.raises(ArgumentError, match=r"`seed` must be from 0 to"):
        train("digits", out=tmp_path / "run", seed=-1)
    with pytest.raises(ArgumentError, match=r"`size` must be a number of pixels, or several. Received: '224'"):
        EvaluationOptions(size="224")
