"""Predictions and embeddings in files, and rows that are kept when the process ends."""

import csv
import json
import signal
import time

import numpy as np
import pytest

from resnext import predict
from resnext.inference.options import PredictionOptions
from support.command import Command, refusal, resnext

pytestmark = pytest.mark.once


def test_predictions_and_embeddings_in_files(trained, colours, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    folder, _ = trained
    arguments = ("predict", folder, colours / "test", "--top", 2)
    for name in ("a.jsonl", "a.csv", "a.parquet", "a.txt"):
        process = resnext(*arguments, "--out", tmp_path / name, "--embeddings", tmp_path / f"{name}.npy")
        assert (process.returncode, process.stdout) == (0, ""), process.stderr
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    with (tmp_path / "a.csv").open() as file:
        texts = list(csv.DictReader(file))
    table = parquet.read_table(tmp_path / "a.parquet").to_pylist()
    for row, text, entry in zip(rows, texts, table, strict=True):
        assert row["image"] == text["image"] == entry["image"]
        assert row["class"] == text["answer"] == entry["answer"] == entry["class_1"]
        assert row["classes"][1]["class"] == text["class_2"] == entry["class_2"]
        assert row["classes"][1]["probability"] == pytest.approx(entry["probability_2"])
    resnext(*arguments, "--embeddings", tmp_path / "e.parquet")
    entries = parquet.read_table(tmp_path / "e.parquet").to_pylist()
    array = np.load(tmp_path / "a.csv.npy")
    assert array.shape == (12, 2048)
    np.testing.assert_allclose(array, [entry["embedding"] for entry in entries], rtol=1e-4, atol=1e-4)
    assert [entry["image"] for entry in entries] == [row["image"] for row in rows]
    assert [line.split(",")[0] for line in (tmp_path / "a.csv.csv").read_text().splitlines()[1:]] == [
        row["image"] for row in rows
    ]
    (given,) = predict(folder, rows[0]["image"], options=PredictionOptions(embeddings=True))
    np.testing.assert_allclose(given.embedding, array[0], rtol=1e-4, atol=1e-4)
    assert refusal(resnext(*arguments, "--out", tmp_path / "a.csv")) == (
        f"{tmp_path / 'a.csv'}: exists already. Pass a new file in a folder of yours."
    )
    assert "the suffix names no format" in refusal(resnext(*arguments, "--out", tmp_path / "a.xml"))
    assert "needs a file to write" in refusal(resnext(*arguments, "--format", "parquet"))
    assert "embeddings are written as .npy or .parquet" in refusal(
        resnext(*arguments, "--embeddings", tmp_path / "a.txt")
    )


def test_outputs_are_checked_before_anything_is_computed(trained, colours, tmp_path):
    arguments = ("predict", trained[0], colours / "test")
    same = "predictions and embeddings can't go to the same file, and beside a .npy the names go to a .csv."
    for out, embeddings in (("b.csv", "b.npy"), ("d.parquet", "d.parquet")):
        given = [f"--out={tmp_path / out}", f"--embeddings={tmp_path / embeddings}"]
        assert same in refusal(resnext(*arguments, *given))
    (tmp_path / "e.csv").symlink_to("nowhere")
    assert "e.csv: exists already." in refusal(resnext(*arguments, "--out", tmp_path / "e.csv"))
    assert "its folder does not exist, or can't be written to" in refusal(resnext(*arguments, "--out", "/proc/x/a.csv"))
    assert [path.name for path in tmp_path.iterdir()] == ["e.csv"]


def test_rows_end_with_the_classes_and_patterns_name_an_image_once(trained, colours, tmp_path):
    process = resnext("predict", trained[0], f"{colours}/test/**", "--top", 50, "--format", "csv")
    head, *rows = process.stdout.splitlines()
    assert head.count("class_") == 3
    assert len(rows) == 12


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.jsonl"])
def test_rows_are_kept_when_the_process_ends_suddenly(trained, colours, tmp_path, name):
    """Python can't run its own cleaning up while compiled code runs; the rows up to there are in the file."""
    many = [colours / "test" / "red" / "000.png"] * 40
    out, features = tmp_path / name, tmp_path / "b.npy"
    place = ("resnext.engines.keras_engine:KerasEngine.arrays", 3, "deaf")
    command = Command("predict", trained[0], *many, "--out", out, "--embeddings", features, fault=place)
    deadline = time.monotonic() + 60
    while not (features.exists() and features.stat().st_size > 16 * 2048 * 4) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    command.send_signal(signal.SIGINT)
    process = command.wait()
    assert process.returncode == 130, process.stderr
    if name == "a.parquet":
        rows = pytest.importorskip("pyarrow.parquet").read_table(out).num_rows
    else:
        rows = len(out.read_text().splitlines()) - (name == "a.csv")
    assert rows == 32
    assert np.load(features).shape == (32, 2048)
