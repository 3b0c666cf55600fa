"""The thread that writes a run: into the folder of the training, and no other."""

import numpy as np
import pytest

from resnext.errors import SavingError
from resnext.training.saving import Writer

pytestmark = pytest.mark.once


def test_another_folder_in_the_place_of_the_run_stays_empty(tmp_path, caplog):
    run, moved = tmp_path / "run", tmp_path / "moved"
    run.mkdir()
    writer, facts = Writer(run), {"step": 4, "epochs": 1}
    run.rename(moved)
    run.mkdir()
    for _ in range(2):
        writer.start({"w": np.zeros(3)}, facts, {"metrics.csv": b"epoch"}, "")
        writer.wait()
    assert f"{run} was moved, and is not the folder of this training any more. Training continues" in caplog.text
    with pytest.raises(SavingError, match=r"was moved, .*\. Move it back, then resume with: resnext train --resume"):
        writer.finish()
    assert not [*run.iterdir()]
    run.rmdir()
    moved.rename(run)
    writer.finish()
    assert (run / "metrics.csv").read_bytes() == b"epoch"
