"""What every log does, and those that a training was asked for."""

from __future__ import annotations

import dataclasses
import importlib.util
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from resnext.errors import ArgumentError, missing_package, one_line
from resnext.runs.config import LogKind, RunConfig
from resnext.runs.history import EpochRow

logger = logging.getLogger(__name__)

PACKAGES: dict[LogKind, str] = {
    "tensorboard": "tensorboardX",
    "wandb": "wandb",
    "mlflow": "mlflow",
    "trackio": "trackio",
}


class Log(Protocol):
    """A destination for the rows of a training.

    Its class is called with the run folder and the run's settings, flat; that may raise any exception.
    """

    def end_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Add the metrics of an epoch by their names in metrics.jsonl."""
        ...

    def close(self) -> None:
        """Finish, however the training ended."""
        ...


def check_logs(kinds: Iterable[LogKind]) -> None:
    """Refuse logs whose packages are not installed. Raises MissingPackageError."""
    for kind in kinds:
        package = PACKAGES.get(kind)
        if package and importlib.util.find_spec(package) is None:
            raise missing_package(f"--log {kind}", package, kind)


def open_logs(folder: Path, config: RunConfig) -> Logs:
    """Open the logs that a training was asked for.

    Raises:
        ArgumentError: one can't be opened, for instance because nobody is logged in.
        MissingPackageError: a package is not installed.
    """
    check_logs(config.options.log)
    settings, logs = settings_of(config), Logs()
    for kind in config.options.log:
        try:
            logs.opened[kind] = _class_of(kind)(folder, settings)
        except Exception as error:  # of whatever kind the package has
            logs.close()
            reason = one_line(error).rstrip(". ")
            raise ArgumentError(f"--log {kind} can't be opened: {reason}. Mend it, or leave it out") from error
    return logs


class Logs:
    """Several logs. One that fails during a training is left out with a warning: the training matters more."""

    def __init__(self) -> None:
        self.opened: dict[LogKind, Log] = {}

    def end_epoch(self, row: EpochRow) -> None:
        """Add the row of an epoch."""
        metrics = {name: value for name, value in row._asdict().items() if isinstance(value, int | float)}
        epoch = int(metrics.pop("epoch"))
        for kind, log in [*self.opened.items()]:
            try:
                log.end_epoch(epoch, metrics)
            except Exception as error:  # likewise
                del self.opened[kind]
                logger.warning(f"--log {kind} failed and gets no more rows: {one_line(error)}")

    def close(self) -> None:
        """Finish all."""
        for kind, log in self.opened.items():
            try:
                log.close()
            except Exception as error:  # likewise
                logger.warning(f"--log {kind} could not be finished: {one_line(error)}")


def settings_of(config: RunConfig) -> dict[str, Any]:
    """Return the settings of a run as numbers and texts by flat names."""
    options = {**dataclasses.asdict(config.recipe), **dataclasses.asdict(config.options)}
    recipe = options.pop("name")
    facts = {"network": config.network, "parameters": config.cost.parameters, "recipe": recipe, "data": config.data}
    values = {**facts, "classes": len(config.classes), **{name: options[name] for name in options if name != "classes"}}
    return {name: value if isinstance(value, int | float | str) else str(value) for name, value in values.items()}


def _class_of(kind: LogKind) -> Any:
    """Return the class of a log; its package is imported only now."""
    if kind == "jsonl":
        from resnext.training.logs.jsonl import JsonLines

        return JsonLines
    if kind == "tensorboard":
        from resnext.training.logs.tensorboard import TensorBoard

        return TensorBoard
    from resnext.training.logs import trackers

    return {"wandb": trackers.WeightsAndBiases, "mlflow": trackers.Mlflow, "trackio": trackers.Trackio}[kind]
