"""`compare` and `resnext compare`: runs side by side."""

import json
import shutil

import pytest

from support.command import refusal, resnext
from support.runs import change_config, change_records, records_of

pytestmark = pytest.mark.once


def test_compare_shows_runs_and_draws_their_curves(run, tmp_path):
    shutil.copytree(run, tmp_path / "second")
    out = tmp_path / "curves.svg"
    process = resnext("compare", run, tmp_path / "second", "--out", out)
    assert process.returncode == 0, process.stderr
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    best = max(record["validation_accuracy"] for record in records)
    for name in ("first", "second"):
        (line,) = [line for line in process.stdout.splitlines() if line.split()[:1] == [name]]
        assert "resnext14_2x4d" in line
        assert "smoke" in line
        assert f"{100 * best:.2f} %" in line
    assert process.stdout.endswith(f"plot: {out}\n")
    assert out.read_text().lstrip().startswith("<?xml")


def test_compare_gives_mean_and_deviation_of_seeds(run, tmp_path):
    for seed, accuracy in ((0, 0.5), (1, 0.7)):
        folder = tmp_path / f"seed{seed}"
        shutil.copytree(run, folder)
        change_config(folder, seed=seed)
        change_records(folder, [{**records_of(folder)[-1], "validation_accuracy": accuracy}])
    process = resnext("compare", tmp_path / "seed0", tmp_path / "seed1")
    said = "60.00 % (deviation 14.14)"
    assert process.stdout.splitlines()[-1] == f"2 seeds, seed0, seed1: best validation {said}, last {said}"
    assert "seeds" not in resnext("compare", tmp_path / "seed0", run).stdout


def test_runs_of_one_name_are_told_apart_by_their_paths(run, tmp_path):
    from resnext import compare

    shutil.copytree(run, tmp_path / "first")
    assert [summary.name for summary in compare([run, tmp_path / "first"])] == [str(run), str(tmp_path / "first")]


def test_compare_refuses_in_one_line(run, tmp_path):
    assert refusal(resnext("compare")) == "no run was passed; pass one run folder or more"
    some = resnext("compare", run, tmp_path)
    assert "not a run folder" in refusal(some)
    assert "first" in some.stdout  # what can be shown is shown
    out = tmp_path / "curves.pdf"
    words = f"{out}: can't be written; pass a .png or .svg file in an existing folder"
    assert refusal(resnext("compare", run, "--out", out)) == words
    broken = tmp_path / "broken"
    shutil.copytree(run, broken)
    (broken / "metrics.jsonl").unlink()
    assert refusal(resnext("compare", broken)) == (
        f"{broken}: has no metrics.jsonl, so none of its epochs is finished. Pass another run."
    )
    for text in ("", "{", "[]", '{"epoch": "1"}', '{"epoch": 1}', "3"):
        (broken / "metrics.jsonl").write_text(text)
        assert "metrics.jsonl: damaged, or written by another version" in refusal(resnext("compare", broken))


def test_different_data_are_named(run, tmp_path):
    shutil.copytree(run, tmp_path / "other")
    change_config(tmp_path / "other", data="/elsewhere")
    said = resnext("compare", run, tmp_path / "other").stdout
    assert "the data differ, so the metrics are those of different images: " in said
    assert "other /elsewhere" in said
