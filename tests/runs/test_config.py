"""The configuration of a run: damaged or unreadable, it is refused."""

import json
import os
from pathlib import Path

import pytest

from resnext.errors import RunError
from resnext.runs.run import Run
from support.command import refusal, resnext
from support.runs import config_of, copy_of


@pytest.mark.once
def test_damaged_runs_are_refused(trained, colours, tmp_path):
    folder, _ = trained
    with pytest.raises(RunError, match=r"not a run folder \(no config.json\)"):
        Run.open(tmp_path)
    assert "a folder without best.safetensors, model" in refusal(resnext("predict", tmp_path, "x.png"))
    document = config_of(folder)
    preprocessing, recipe = document["preprocessing"], document["recipe"]
    changes = [
        {"extra": 1}, {"variant": 5}, {"variant": "resnext51_1x1d"}, {"dtype": "int8"}, {"dtype": []},
        {"recipe": {}}, {"recipe": {**recipe, "momentum": "0"}},
        {"preprocessing": {}}, {"preprocessing": 3}, {"preprocessing": {**preprocessing, "resize": 10**9}},
        {"classes": None}, {"classes": "abc"}, {"classes": []}, {"classes": ["a", "a"]}, {"classes": ["a", 1]},
        {"classes": ["a", ""]}, {"classes": [["a"], "b"]},
    ]  # fmt: skip
    texts = [json.dumps({**document, **change}) for change in changes]
    for text in (*texts, "{", "[]", "3", "[" * 100_000, "\xff"):
        (tmp_path / "config.json").write_text(text, encoding="latin-1")
        with pytest.raises(
            RunError, match=r"^[^\n]*config.json: damaged, or written by another version of resnext[^\n]*$"
        ):
            Run.open(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(document))
    assert "held-out.json: damaged" in refusal(resnext("evaluate", tmp_path, colours))
    assert "best.safetensors: no such weights file" in refusal(
        resnext("predict", tmp_path, colours / "test" / "red" / "000.png")
    )


@pytest.mark.once
@pytest.mark.parametrize("make", [Path.unlink, lambda path: (path.unlink(), path.mkdir())], ids=["missing", "folder"])
def test_a_run_without_its_configuration_is_not_taken_for_weights(trained, colours, tmp_path, make):
    """Its training images would be evaluated."""
    folder = copy_of(trained[0], tmp_path / "run")
    make(folder / "config.json")
    assert refusal(resnext("evaluate", folder, colours)) == (
        f"{folder}: a run folder whose config.json is missing or no file. Put it back, or pass one of its files of "
        "weights."
    )


@pytest.mark.once
@pytest.mark.parametrize("name", ["held-out.json", "metrics.jsonl"])
def test_a_pipe_in_a_run_is_refused(trained, tmp_path, name):
    folder = copy_of(trained[0], tmp_path / "run")
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(RunError, match=r"held-out.json: damaged, .*not a regular file|has no metrics.jsonl"):
        print(Run.open(folder).held_out, Run.open(folder).history)


@pytest.mark.once
def test_a_configuration_that_cannot_be_read_is_one_line(tmp_path):
    unreadable = Path("/proc/self/mem")  # also for root
    if not unreadable.is_file():
        pytest.skip("no /proc here")
    (tmp_path / "config.json").symlink_to(unreadable)
    assert "config.json: damaged, or written by another version of resnext ([Errno" in refusal(
        resnext("predict", tmp_path, "x.png")
    )
