"""A training in another form of the blocks, or with other shortcuts: by one command, and in all that follows."""

import dataclasses

import numpy as np
import pytest
from safetensors.numpy import load_file

from resnext import Model, Run, compare, convert, evaluate, export, predict, train
from resnext.errors import ArgumentError
from resnext.variants.names import get_variant
from support.command import resnext
from support.runs import QUICK

pytestmark = pytest.mark.once

ONE = dataclasses.replace(QUICK, epochs=1)
NETWORK = "resnext11_2x4d"  # the smallest with more than one path


def test_a_sliced_network_without_shortcuts_is_trained_and_used(colours, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name, network = f"{NETWORK}-shortcut-none-form-sliced", f"{NETWORK}-shortcut-none-sliced"
    options = ("--recipe", "smoke", "--image-size", 24, "--form", "sliced", "--shortcut", "none", "--seed", 1)
    process = resnext("train", colours, "--variant", NETWORK, *options)
    assert process.returncode == 0, process.stderr
    folder = tmp_path / "runs" / f"photos-{name}-1"
    assert f"network: {name} at 24 pixels" in process.stderr
    run = Run.open(folder)
    assert run.config.variant == dataclasses.replace(get_variant(NETWORK), shortcut="none", sliced=True)
    assert name in (folder / "report.html").read_text()
    assert [summary.variant for summary in compare([folder])] == [name]
    again = resnext("train", colours, "--variant", NETWORK, *options, "--out", folder, "--resume", folder)
    assert again.returncode == 0, again.stderr
    images = sorted((colours / "test").glob("*/*.png"))
    ours = [each.classes for each in predict(folder, images)]
    export(folder, tmp_path / "colours.onnx", images=images)
    for (mine, _), (theirs, _) in zip(
        (rows[0] for rows in ours),
        (each.classes[0] for each in predict(tmp_path / "colours.onnx", images)),
        strict=True,
    ):
        assert mine == theirs
    assert Model.open(folder / "best.safetensors").variant.name == network
    with pytest.raises(
        ArgumentError, match=rf"^timm has no network like {network}: .*sliced paths. Use --to resnext.$"
    ):
        convert(folder, tmp_path / "w.safetensors", to="timm")
    started = train(colours, weights=folder, out=tmp_path / "next", recipe=ONE)
    assert Run.open(started.folder).config.variant.name == network


def test_the_forms_train_the_same_network(colours, tmp_path):
    weights = {}
    for form in "abc":
        result = train(colours, NETWORK, tmp_path / form, recipe=ONE, form=form, seed=1)
        weights[form] = load_file(result.folder / "last.safetensors")
        assert Run.open(result.folder).config.network == f"{NETWORK}{'' if form == 'c' else f'-form-{form}'}"
        assert evaluate(result.folder, colours).top(1) == pytest.approx(result.test.top(1), abs=1e-6)
    assert weights["a"].keys() == weights["b"].keys() == weights["c"].keys()
    for name, array in weights["c"].items():
        for form in "ab":
            assert weights[form][name].shape == array.shape, name
    assert all(np.isfinite(array).all() for each in weights.values() for array in each.values())


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"form": "d"}, "`form` must be one of a, b, c, sliced. Received: 'd'"),
        ({"shortcut": "E"}, "`shortcut` must be one of A, B, C, D, none. Received: 'E'"),
    ],
)
def test_other_words_are_refused(colours, tmp_path, keywords, words):
    with pytest.raises(ArgumentError, match=words):
        train(colours, NETWORK, tmp_path / "run", recipe=ONE, **keywords)


def test_basic_blocks_have_no_slices(colours, tmp_path):
    with pytest.raises(ArgumentError, match="`sliced` needs bottleneck blocks, and a cardinality that divides"):
        train(colours, "resnet8", tmp_path / "run", recipe=ONE, form="sliced")
