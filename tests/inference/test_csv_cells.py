"""Names from strangers in tables and on the terminal: no spreadsheet computes them, no terminal obeys them."""

import csv
import json

import pytest

from resnext.errors import visible
from resnext.inference.evaluation_files import csv_text
from resnext.inference.predict import Prediction
from resnext.inference.prediction_files import open_rows
from support.command import resnext
from support.runs import change_config, config_of, copy_of

pytestmark = pytest.mark.once

FORMULA = "=cmd|' /C calc'!A0"
TITLE = "\x1b]0;owned\x07\u202egnp.exe"


def test_predictions_in_csv_are_no_formulas_and_obey_nothing(tmp_path):
    names = [FORMULA, "-rf.png", "+1.jpg", "@2x.png", " =a.png", "a=b.png", "a\nb.png", TITLE, "./a.png"]
    with open_rows("csv", tmp_path / "a.csv", 1) as rows:
        for name in names:
            rows.write(Prediction(name, [(FORMULA, 0.5)], None))
        rows.write(Prediction("x.png", [], "-bad"))
    with (tmp_path / "a.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    assert [row["image"] for row in read] == [
        f"./{FORMULA}", "./-rf.png", "./+1.jpg", "./@2x.png", "./ =a.png", "a=b.png", "a\\x0ab.png",
        "\\x1b]0;owned\\x07\\u202egnp.exe", "./a.png", "x.png",
    ]  # fmt: skip
    assert {row["answer"] for row in read[:-1]} == {row["class_1"] for row in read[:-1]} == {f"'{FORMULA}"}
    assert read[-1]["error"] == "'-bad"
    assert read[0]["probability_1"] == "0.5"
    with open_rows("jsonl", tmp_path / "a.jsonl", 1) as rows:
        rows.write(Prediction(FORMULA, [(FORMULA, 0.5)], None))
    assert json.loads((tmp_path / "a.jsonl").read_text())["image"] == FORMULA


def test_numbers_of_tables_stay_numbers():
    assert csv_text(("class", "value"), [("@a", -0.25), ("b", None)]) == "class,value\n'@a,-0.25\nb,\n"


def test_a_run_of_a_stranger_does_nothing_to_the_terminal(trained, tmp_path):
    copy_of(trained[0], tmp_path / "run")
    config = config_of(tmp_path / "run")
    recipe, versions = {**config["recipe"], "name": TITLE}, {**config["versions"], TITLE: TITLE}
    change_config(tmp_path / "run", data=TITLE, recipe=recipe, versions=versions, weights=TITLE)
    for process in (
        resnext("info", tmp_path / "run"),
        resnext("compare", tmp_path / "run"),
        resnext("evaluate", tmp_path / "run", tmp_path / TITLE),
        resnext("predict", f"{TITLE}.safetensors", tmp_path),
    ):
        printed = process.stdout + process.stderr
        assert "owned" in printed
        assert not {"\x1b", "\x07", "\u202e"} & {*printed}


def test_lines_stay_lines():
    assert visible("a\x1b[2J\nb\tc\u202e\x9b") == "a\\x1b[2J\nb\\x09c\\u202e\\x9b"
    assert visible("a\u200b\u2028\ufeff\u200d") == "a\\u200b\\u2028\\ufeff\u200d"
    assert visible("Größe 猫 \N{CAT FACE}\n") == "Größe 猫 \N{CAT FACE}\n"
