"""Trackers of experiments: Weights & Biases, MLflow and Trackio, each by its own package.

Where they send what they get is theirs to decide, by their own environment variables: WANDB_MODE=offline,
MLFLOW_TRACKING_URI, TRACKIO_DIR. A training that is resumed goes on in the tracker's run, which its folder names.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PROJECT = "resnext"  # under which the runs of all trainings stand
LONGEST = 500  # characters of a parameter in MLflow


class WeightsAndBiases:
    """A run in Weights & Biases (https://docs.wandb.ai)."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]):
        import wandb

        quiet = wandb.Settings(silent=True, console="off", x_disable_stats=True)
        self.run = wandb.init(
            project=PROJECT, name=folder.name, id=_id_of(folder), resume="allow", config=dict(settings), settings=quiet,
            dir=str(folder.parent),
        )  # fmt: skip

    def end_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Add the metrics of an epoch."""
        self.run.log({"epoch": epoch, **metrics}, step=epoch)

    def close(self) -> None:
        """Finish the run."""
        self.run.finish()


class Mlflow:
    """A run in MLflow's tracking (https://mlflow.org); the package mlflow-skinny is enough."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]):
        from mlflow.tracking import MlflowClient

        self.client = MlflowClient()
        experiment = self.client.get_experiment_by_name(PROJECT)
        number = experiment.experiment_id if experiment else self.client.create_experiment(PROJECT)
        tag = "resnext.run"
        found = self.client.search_runs([number], f"tags.`{tag}` = '{_id_of(folder)}'", max_results=1)
        made = found[0] if found else self.client.create_run(number, tags={tag: _id_of(folder)}, run_name=folder.name)
        self.run = made.info.run_id
        if not found:
            for name, value in settings.items():
                self.client.log_param(self.run, name, str(value)[:LONGEST])

    def end_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Add the metrics of an epoch."""
        for name, value in metrics.items():
            self.client.log_metric(self.run, name, value, step=epoch)

    def close(self) -> None:
        """Finish the run."""
        self.client.set_terminated(self.run)


class Trackio:
    """A run in Trackio (https://huggingface.co/docs/trackio), which is local unless its variables say otherwise."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]):
        import trackio

        name = f"{folder.name}-{_id_of(folder)[:6]}"
        own = {"auto_log_cpu": False, "auto_log_gpu": False, "embed": False}
        with _silent():
            self.run = trackio.init(PROJECT, name=name, config=dict(settings), resume="allow", **own)
        self.finish = trackio.finish

    def end_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Add the metrics of an epoch."""
        with _silent():
            self.run.log({"epoch": epoch, **metrics}, step=epoch)

    def close(self) -> None:
        """Finish the run."""
        with _silent():
            self.finish()


def _silent() -> contextlib.AbstractContextManager:
    """Return a context in which Trackio's greetings stay off standard output, which is the command's."""
    return contextlib.redirect_stdout(io.StringIO())


def _id_of(folder: Path) -> str:
    """Return an identifier of a run folder, the same when its training is resumed."""
    return hashlib.sha256(str(folder.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:16]
