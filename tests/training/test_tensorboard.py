"""TensorBoard's events: the curves of a run, without TensorFlow."""

import json
import subprocess
import sys

import pytest

from resnext import train
from support.photos import COLOURS, write_photos
from support.reports import QUICK

pytestmark = pytest.mark.once


def test_tensorboard_events_hold_the_curves(run):
    pytest.importorskip("tensorboardX")
    from tensorboardX.proto.event_pb2 import Event

    (path,) = (run / "tensorboard").iterdir()
    content, values = path.read_bytes(), {}
    while content:  # length in eight bytes and their checksum in four; the event and its checksum in four
        length = int.from_bytes(content[:8], "little")
        event = Event.FromString(content[12 : 12 + length])
        content = content[16 + length :]
        values |= {(value.tag, event.step): value.simple_value for value in event.summary.value}
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for record in records:
        for tag, name in (("loss/validation", "validation_loss"), ("accuracy/train", "train_accuracy")):
            assert values[tag, record["epoch"]] == pytest.approx(record[name], rel=1e-6)
    assert len(values) == 7 * len(records)


def test_tensorboard_is_an_extra_and_does_not_bring_tensorflow(run, tmp_path, monkeypatch):
    code = "import sys, tensorboardX; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    photos = write_photos(tmp_path / "photos", COLOURS, 6)
    needs = r"^--tensorboard needs the package tensorboardX: pip install 'resnext\[tensorboard\]'$"
    with pytest.raises(ImportError, match=needs):
        train(photos, "resnext14_2x4d", tmp_path / "run", recipe=QUICK, tensorboard=True)
    assert not (tmp_path / "run").exists()
