"""Checkpoints: no flipped bit is loaded, and the newest two and the best are kept."""

import numpy as np
import pytest

from resnext.errors import DamagedCheckpointError
from resnext.training.checkpoints import STATE, checkpoints, prune, read_checkpoint, read_newest, write_checkpoint


@pytest.mark.once
def test_no_flipped_bit_is_loaded(tmp_path):
    rng = np.random.default_rng(0)
    tensors = {f"model/{i:04}/w": rng.normal(size=(9, 7)).astype("float32") for i in range(5)}
    path = write_checkpoint(tmp_path, tensors, {"step": 3, "epochs": 1, "rows": []})
    for name in (STATE, "facts.json"):
        content = (path / name).read_bytes()
        for place in rng.choice(8 * len(content), 200, replace=False):
            flipped = bytearray(content)
            flipped[place // 8] ^= 1 << place % 8
            (path / name).write_bytes(flipped)
            with pytest.raises((ValueError, KeyError, TypeError)):
                read_checkpoint(path)
        (path / name).write_bytes(content)
    assert read_checkpoint(path).facts["step"] == 3


@pytest.mark.once
def test_the_newest_two_and_the_best_are_kept(tmp_path):
    for epoch in range(1, 6):
        write_checkpoint(tmp_path, {"a": np.zeros(1)}, {"step": epoch * 10, "epochs": epoch})
    (tmp_path / "step-000000010-0001").rename(tmp_path / "step-000000010-0001.corrupt")
    (tmp_path / ".step-000000060-0006.77").mkdir()
    prune(tmp_path, "step-000000020-0002")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "step-000000010-0001.corrupt", "step-000000020-0002", "step-000000040-0004", "step-000000050-0005",
    ]  # fmt: skip
    for path in checkpoints(tmp_path):
        (path / STATE).unlink()
    with pytest.raises(DamagedCheckpointError):
        read_newest(tmp_path)
    assert len([*tmp_path.glob("*.corrupt")]) == 4
