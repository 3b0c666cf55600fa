"""Logs of a training for other programs, each tried with its real package, offline."""

import json
import subprocess
import sys

import pytest

from resnext import train
from resnext.errors import ArgumentError, MissingPackageError
from resnext.runs.history import EpochRow
from resnext.training.logs.log import Logs, open_logs
from support.photos import COLOURS, write_photos
from support.reports import QUICK

pytestmark = pytest.mark.once


@pytest.fixture
def records(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_photos(tmp_path_factory.mktemp("logs") / "photos", COLOURS, 4)


def test_tensorboard_events_hold_the_curves(run, records):
    pytest.importorskip("tensorboardX")
    from tensorboardX.proto.event_pb2 import Event

    (path,) = (run / "tensorboard").iterdir()
    content, values = path.read_bytes(), {}
    while content:  # length in eight bytes and their checksum in four; the event and its checksum in four
        length = int.from_bytes(content[:8], "little")
        event = Event.FromString(content[12 : 12 + length])
        content = content[16 + length :]
        values |= {(value.tag, event.step): value.simple_value for value in event.summary.value}
    for record in records:
        for tag, name in (("loss/validation", "validation_loss"), ("accuracy/train", "train_accuracy")):
            assert values[tag, record["epoch"]] == pytest.approx(record[name], rel=1e-6)
    assert len(values) == 7 * len(records)


def test_json_lines_have_start_epochs_and_end(run, records):
    start, *epochs, end = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert (start["event"], end["event"]) == ("start", "end")
    assert (start["network"], start["recipe"], start["log"]) == ("resnext14_2x4d", "smoke", "('tensorboard', 'jsonl')")
    assert [row["event"] for row in epochs] == ["epoch"] * len(records)
    for row, record in zip(epochs, records, strict=True):
        assert (row["epoch"], row["validation_loss"]) == (record["epoch"], record["validation_loss"])


def test_tensorboard_does_not_bring_tensorflow():
    code = "import sys, tensorboardX; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


@pytest.mark.parametrize("kind", ["tensorboard", "wandb", "mlflow", "trackio"])
def test_each_is_an_extra_that_is_missed_before_anything_begins(tiny, tmp_path, monkeypatch, kind):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    needs = rf"^--log {kind} needs the package \w+: pip install 'resnext\[{kind}\]'$"
    with pytest.raises(MissingPackageError, match=needs):
        train(tiny, "resnext14_2x4d", tmp_path / "run", recipe=QUICK, log=kind)
    assert not (tmp_path / "run").exists()


def test_another_word_is_refused(tiny):
    with pytest.raises(
        ArgumentError, match=r"`log` must be among jsonl, tensorboard, wandb, mlflow, trackio\. Received: 'x'"
    ):
        train(tiny, log=("jsonl", "x"))


def test_weights_and_biases_offline(tiny, tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="its package is not installed (pip install 'resnext[wandb]')")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path / "wandb"))
    (tmp_path / "wandb").mkdir()
    train(tiny, "resnext14_2x4d", tmp_path / "run", recipe=QUICK, log="wandb")
    found = [*tmp_path.rglob("*.wandb")]
    assert len(found) == 1
    assert b"validation_loss" in found[0].read_bytes()
    assert b"resnext14_2x4d" in found[0].read_bytes()


def test_mlflow_in_a_folder(tiny, tmp_path, monkeypatch):
    pytest.importorskip("mlflow", reason="its package is not installed (pip install 'resnext[mlflow]')")
    from mlflow.tracking import MlflowClient

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    result = train(tiny, "resnext14_2x4d", tmp_path / "run", recipe=QUICK, log="mlflow")
    client = MlflowClient()
    (run,) = client.search_runs([client.get_experiment_by_name("resnext").experiment_id])
    history = client.get_metric_history(run.info.run_id, "validation_loss")
    assert [(each.step, each.value) for each in history] == [
        (row.epoch, row.validation_loss) for row in result.history.rows
    ]
    assert (run.info.status, run.data.params["network"], run.info.run_name) == ("FINISHED", "resnext14_2x4d", "run")


def test_trackio_in_a_folder(tiny, tmp_path, monkeypatch):
    pytest.importorskip("trackio", reason="its package is not installed (pip install 'resnext[trackio]')")
    code = (
        "import sys; from resnext import train; from support.reports import QUICK; "
        "train(sys.argv[1], 'resnext14_2x4d', sys.argv[2], recipe=QUICK, log='trackio')"
    )
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))  # read when it is imported
    monkeypatch.setenv("PYTHONPATH", ":".join(sys.path))
    process = subprocess.run(
        [sys.executable, "-c", code, tiny, tmp_path / "run"], capture_output=True, text=True, timeout=200
    )
    assert process.returncode == 0, process.stderr[-2000:]
    found = b"".join(path.read_bytes() for path in (tmp_path / "trackio").rglob("*.db*"))
    assert b"validation_loss" in found


def test_one_that_fails_does_not_end_the_training(tmp_path, caplog, monkeypatch, run):
    class Broken:
        def __init__(self, folder, settings):
            pass

        def end_epoch(self, epoch, metrics):
            raise OSError("no connection")

        def close(self):
            raise OSError("no connection")

    logs = Logs()
    logs.opened["mlflow"] = Broken(tmp_path, {})
    row = EpochRow(1, 0.1, 1.0, 0.5, 1.0, 0.75, 1.0, 10.0)
    logs.end_epoch(row)
    logs.end_epoch(row)
    logs.close()
    assert caplog.messages == ["--log mlflow failed and gets no more rows: no connection"]

    from resnext import Run

    def refuse(folder, settings):
        raise RuntimeError("nobody is logged in")

    monkeypatch.setattr("resnext.training.logs.log._class_of", lambda kind: refuse)
    with pytest.raises(ArgumentError, match=r"--log tensorboard can.t be opened: nobody is logged in\. Mend it, or"):
        open_logs(tmp_path, Run.open(run).config)
