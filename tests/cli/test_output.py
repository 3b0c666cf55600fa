"""Every command's JSON has its schema in docs/schemas, and its CSV the same rows."""

import csv
import io
import json
from pathlib import Path

import pytest
from PIL import Image

from resnext.cli.output import flat, plain
from support.command import resnext

pytestmark = pytest.mark.once
SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"


def checked(command: str, text: str) -> dict:
    """Return a document that has the schema of its command."""
    validator = pytest.importorskip("jsonschema", reason="jsonschema is not installed").Draft202012Validator
    schema = json.loads((SCHEMAS / f"{command}.json").read_text())
    validator.check_schema(schema)
    document = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    validator(schema).validate(document)
    return document


@pytest.fixture(scope="module")
def run(trained):
    return trained[0]


@pytest.mark.parametrize(
    ("words", "rows"),
    [
        ("list resnext50*", "networks"),
        ("list --weights resnext50*", "weights"),
        ("info resnext50_32x4d", None),
        ("info resnext50_32x4d.a1_in1k", None),
        ("info {run}", None),
        ("info {run}/best.safetensors", None),
        ("recipes", "recipes"),
        ("evaluate {run} {photos}", None),
        ("compare {run} {run}", "runs"),
        ("predict {run} {photos}/test", "predictions"),
        ("check-data {photos}", "parts"),
        ("preview {photos} --out {folder}/{form}.png", None),
        ("explain {run} {photos}/test --out {folder}/maps-{form}", "explanations"),
        ("explain {run} {photos} --paths --out {folder}/paths-{form}", "paths"),
        ("export {run} {folder}/{form}.onnx", None),
        ("convert {run} --out {folder}/{form}.safetensors", None),
    ],
)
def test_json_and_csv(run, colours, tmp_path, words, rows):
    command, *_ = words.split()
    names = {"run": run, "photos": colours, "folder": tmp_path}
    given = {}
    for form in ("json", "csv"):
        arguments = [word.format(**names, form=form) for word in words.split()]
        process = resnext(*arguments, "--format", form, "--quiet")
        assert process.returncode == 0, process.stderr
        given[form] = process.stdout
    document = checked(command, given["json"])
    if command in ("evaluate", "predict"):  # whose CSV has columns of its own
        return
    table = [*csv.DictReader(io.StringIO(given["csv"]))]
    entries = document[rows] if rows else [document]
    assert len(table) == len(entries) > 0
    for row, entry in zip(table, entries, strict=True):
        kept = {name: value for name, value in flat(entry).items() if "file" not in name and "picture" not in name}
        assert {name: row[name] for name in kept} == {
            name: "" if value is None else str(value) for name, value in kept.items()
        }


def test_a_training_prints_one_object(colours, tmp_path):
    options = ("--variant", "resnext11_4x4d", "--image-size", 16, "--epochs", 2)
    process = resnext("train", colours, *options, "--out", tmp_path / "run", "--format", "json", "--quiet")
    document = checked("train", process.stdout)
    assert (document["run"], document["state"], document["epochs"]) == (str(tmp_path / "run"), "finished", 2)
    assert set(document["test"]) >= {"images", "top1", "macro_f1"}
    again = resnext("train", "--resume", tmp_path / "run", "--format", "json")
    assert checked("train", again.stdout)["last"] == document["last"]


def test_an_image_that_cannot_be_read_is_an_entry(run, tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("text")
    for command, rows in (("predict", "predictions"), ("explain", "explanations")):
        more = ("--out", tmp_path / "maps") if command == "explain" else ()
        process = resnext(command, run, tmp_path / "a.png", tmp_path / "b.png", *more, "--format", "json")
        assert process.returncode == 1
        good, bad = checked(command, process.stdout)[rows]
        assert good["error"] is None
        assert bad["error"].startswith("not a JPEG")
    process = resnext("predict", run, tmp_path / "a.png", "--out", tmp_path / "answers.json")
    assert len(checked("predict", (tmp_path / "answers.json").read_text())["predictions"]) == 1


def test_a_data_set_with_faults_is_printed_and_refused(colours, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (8, 8), (len(name), 0, 0)).save(tmp_path / name / "1.png")
    (tmp_path / "b" / "2.png").write_text("text")
    process = resnext("check-data", tmp_path, "--format", "json")
    assert process.returncode == 1
    (fault,) = checked("check-data", process.stdout)["bad"]
    assert "2.png: not a JPEG" in fault


def test_what_json_does_not_have_is_null():
    assert plain({"a": float("nan"), "b": (1.5, float("inf")), "c": Path("x")}) == {
        "a": None,
        "b": [1.5, None],
        "c": "x",
    }
    assert flat({"a": {"b": 1, "c": [[1, 2]]}, "d": ["x", "y"]}) == {"a.b": 1, "a.c": "[[1, 2]]", "d": "x; y"}


def test_doctor(monkeypatch, tmp_path):
    process = resnext("doctor", "--format", "json")
    found = checked("doctor", process.stdout)
    assert process.returncode == bool(found["problems"])
    assert found["image_formats"]["JPEG"]
    assert found["backend"]["devices"]
    assert resnext("doctor").stdout.startswith("resnext ")


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"KERAS_BACKEND": "mxnet"}, "the backend mxnet is unknown: pip install"),
        ({"KERAS_HOME": "{folder}"}, "keras.json can't be read"),
    ],
)
def test_doctor_names_what_is_wrong_and_how_to_mend_it(tmp_path, environment, words):
    (tmp_path / "keras.json").write_text("{")
    process = resnext("doctor", env={name: value.format(folder=tmp_path) for name, value in environment.items()})
    assert process.returncode == 1
    (problem,) = [line for line in process.stdout.splitlines() if line.startswith("problem ")]
    assert words in problem
    assert process.stderr.splitlines()[-1] == "resnext: 1 problem, named above with how to mend it"
