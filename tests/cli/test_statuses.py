"""The exit status tells what kind of mistake it was, whichever layer notices."""

import re
from pathlib import Path

import pytest

from support.command import resnext

pytestmark = pytest.mark.once
DOCS = Path(__file__).parents[2] / "docs" / "reliability.md"


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (2, "train"),
        (2, "train d --epohcs 5"),
        (2, "train d --epochs five"),
        (2, "train d --epochs 0"),
        (2, "train d --momentum 1.5"),
        (2, "train d --variant resnext50"),
        (2, "train d --recipe none"),
        (2, "train d --device tpu"),
        (2, "train d --fit sqash"),
        (2, "train d --folds 5 --fold 9"),
        (2, "evaluate"),
        (2, "evaluate {run} {photos} --crops 3"),
        (2, "predict {run}"),
        (2, "predict {run} x.png --top 0"),
        (2, "predict photo.jpg"),
        (2, "compare"),
        (2, "serve"),
        (2, "serve {run} --port 99999"),
        (2, "export {run}"),
        (2, "export {run} net.doc"),
        (2, "explain {run} x.png --class nobody"),
        (2, "info resnext50"),
        (1, "train nowhere"),
        (1, "train {empty}"),
        (1, "train {photos} --weights nowhere.safetensors"),
        (1, "evaluate nowhere"),
        (1, "info runs/nowhere"),
        (1, "evaluate {run} nowhere"),
        (1, "predict nowhere x.png"),
        (1, "predict {run} nowhere.png"),
        (1, "predict {text} x.png"),
        (1, "train --resume nowhere"),
        (1, "compare nowhere"),
        (1, "check-data nowhere"),
        (1, "list vgg*"),
        (73, "train {photos} --out {used}"),
        (73, "train {photos} --out {text}"),
        (73, "train {photos} --out {photos}/run"),
        (73, "evaluate {run} {photos} --out {used}"),
        (73, "predict {run} {photos} --out {text}"),
        (73, "predict {run} {photos} --out nowhere/a.csv"),
        (73, "explain {run} {photos}/test --out {used}"),
        (73, "export {run} nowhere/net.onnx"),
        (73, "export {run} {used} --to saved_model"),
        (73, "convert {run} --out {weights}"),
        (73, "preview {photos} --out nowhere/a.png"),
        (73, "compare {run} --out nowhere/a.png"),
    ],
)
def test_the_same_kind_of_mistake_has_the_same_status(trained, colours, tmp_path, status, words):
    text, used, empty = tmp_path / "a.txt", tmp_path / "used", tmp_path / "empty"
    text.write_text("text")
    for folder in (used, empty):
        folder.mkdir()
    (used / "a.txt").write_text("text")
    (tmp_path / "a.safetensors").write_bytes(b"x")
    names = {"run": trained[0], "photos": colours, "text": text, "used": used, "empty": empty}
    names["weights"] = tmp_path / "a.safetensors"
    process = resnext(*(word.format(**names) for word in words.split()))
    assert process.returncode == status, process.stderr
    assert len(process.stderr.splitlines()) <= 2
    assert process.stderr.splitlines()[-1].startswith("resnext: ")


def test_all_statuses_are_in_one_table():
    from resnext import errors

    listed = {int(number) for number in re.findall(r"^\| (\d+) \|", DOCS.read_text(), re.MULTILINE)}
    raised = {value.exit_code for value in vars(errors).values() if hasattr(value, "exit_code")}
    assert raised <= listed
