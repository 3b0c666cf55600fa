"""The plan of a training, which never changes, and its state, which a checkpoint stores."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from resnext.errors import TrainingDiverged
from resnext.metrics.several import AnyEvaluation, LabelsEvaluation
from resnext.recipes.recipe import BestBy
from resnext.runs.history import ROW_METRICS, EpochRow, History

NAMED = 16  # images of a bad step that are named


@dataclass(frozen=True)
class Plan:
    """The parts of a training that are known before its first step.

    Args:
        epochs: number of epochs.
        steps: steps in an epoch.
        images: images in a step.
        evaluate_every: epochs between two evaluations.
        patience: evaluations without a better one after which it ends; None: never early.
        rate: function from a number of steps to the learning rate.
        names_of: function from the number of a step, counted from 0, to the names of its images.
    """

    epochs: int
    steps: int
    images: int
    evaluate_every: int
    patience: int | None
    rate: Callable[[int], Any]
    names_of: Callable[[int], list[str]]


@dataclass
class TrainingState:
    """Everything that changes during a training besides the model's variables; saved and restored in full."""

    step: int = 0  # batches done
    history: History = field(default_factory=History)
    logs: dict[str, float] = field(default_factory=dict)  # loss and accuracy of the epoch so far
    before: float = 0.0  # seconds spent on the epoch in earlier sessions
    started: float = field(default_factory=time.monotonic)  # when this session's part of the epoch began
    first: int = 0  # step at which it began

    def next_evaluated(self, plan: Plan) -> int:
        """Return the number of the next epoch after which the network is evaluated."""
        return min(self.history.epochs + plan.evaluate_every, plan.epochs)

    def steps_left(self, plan: Plan) -> int:
        """Return the number of steps before the next evaluation."""
        return self.next_evaluated(plan) * plan.steps - self.step

    def is_over(self, plan: Plan) -> bool:
        """Return whether all epochs are done, or too many evaluations in a row were not better."""
        return self.history.is_over(plan.epochs, plan.patience)

    def is_within_epoch(self, plan: Plan) -> bool:
        """Return whether some steps have been taken since the last evaluation and some are left."""
        return self.step > self.history.epochs * plan.steps and self.steps_left(plan) > 0

    def begin(self) -> None:
        """Start the clock of this session's part of an epoch."""
        self.started, self.first = time.monotonic(), self.step

    def seconds(self) -> float:
        """Return the seconds spent on this epoch so far, across interruptions."""
        return self.before + self.seconds_of_steps()

    def seconds_of_steps(self) -> float:
        """Return the seconds that this session's part of the epoch has taken."""
        return time.monotonic() - self.started

    def add_row(self, plan: Plan, evaluation: AnyEvaluation, trained: float, weights_sha256: str) -> EpochRow:
        """Add the row of an epoch to the history, and return it.

        Args:
            plan: plan of the training.
            evaluation: evaluation on the validation images.
            trained: seconds that the steps of this session took.
            weights_sha256: checksum of the evaluated weights.

        Raises:
            TrainingDiverged: the validation loss is not finite.
        """
        self.check_finite(plan, "validation loss", evaluation.loss)
        last, metrics = self.next_evaluated(plan), evaluation.metrics()
        row = EpochRow(
            epoch=last,
            learning_rate=max(float(plan.rate(each * plan.steps)) for each in range(self.history.epochs, last + 1)),
            train_loss=self.logs["loss"],
            train_accuracy=self.logs["accuracy"],
            validation_loss=evaluation.loss,
            validation_accuracy=evaluation.accuracy,
            seconds=self.seconds(),
            images_per_second=(self.step - self.first) * plan.images / trained,
            temperature=evaluation.temperature,
            weights_sha256=weights_sha256,
            thresholds=_thresholds(evaluation),
            **{f"validation_{name}": metrics.get(name) for name in ROW_METRICS},
        )
        self.history = self.history.with_row(row)
        return row

    def end_epoch(self) -> None:
        """Start the clock of the next epoch."""
        self.before, self.started = 0.0, time.monotonic()

    def check_finite(self, plan: Plan, name: str, loss: float) -> None:
        """Raise TrainingDiverged unless a loss is finite."""
        if not np.isfinite(loss):
            raise self.diverged(plan, f"the {name} is {loss}")

    def diverged(self, plan: Plan, what: str) -> TrainingDiverged:
        """Return the error for values that are not finite, with the images of the last step."""
        epoch, names = -(-self.step // plan.steps), plan.names_of(self.step - 1)
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        return TrainingDiverged(
            f"{what} after step {self.step}, in epoch {epoch}: the training diverged, and this step was not saved. Use "
            f"a lower --learning-rate or another --dtype. Images of this step: {', '.join(names[:NAMED])}{more}"
        )

    def to_facts(self) -> dict[str, Any]:
        """Return the part of the state that a checkpoint stores in addition to the variables."""
        rows = [row._asdict() for row in self.history.rows]
        facts = {"step": self.step, "epochs": self.history.epochs, "rows": rows, "logs": self.logs}
        return {**facts, "spent": self.seconds()}

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any], best_by: BestBy) -> TrainingState:
        """Return the state that `to_facts` described, of a training whose best epoch is that by a metric."""
        history = History((EpochRow.from_json(row) for row in facts["rows"]), best_by)
        return cls(facts["step"], history, facts["logs"], facts["spent"], time.monotonic(), facts["step"])


def _thresholds(evaluation: AnyEvaluation) -> tuple[float, ...] | None:
    return tuple(evaluation.thresholds.tolist()) if isinstance(evaluation, LabelsEvaluation) else None
