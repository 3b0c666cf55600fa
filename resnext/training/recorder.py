"""What is kept of a training while it runs: its state, the files of its epochs, and when a checkpoint is due."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np

from resnext.errors import TrainingDiverged
from resnext.metrics.evaluation import Evaluation
from resnext.runs.history import EpochRow, History
from resnext.runs.run import METRICS, RECORDS, WEIGHTS
from resnext.training.checkpoints import Checkpoint, Saver, Tensors, checkpoint_name
from resnext.training.signals import Stopped
from resnext.training.state import capture, restore
from resnext.weights.save import weights_to_bytes

if TYPE_CHECKING:
    from resnext.training.session import Session

SAVE_EVERY = 300.0  # seconds: what a kill can cost
NAMED = 16  # images of a bad step


@dataclass
class TrainingState:
    """All that changes during a training besides the model's variables; saved and restored in full."""

    step: int = 0  # batches done
    history: History = field(default_factory=History)
    logs: dict[str, float] = field(default_factory=dict)  # loss and accuracy of the epoch so far
    before: float = 0.0  # seconds of the epoch so far, in earlier sittings
    started: float = field(default_factory=time.monotonic)  # when this sitting's part of the epoch began

    def seconds(self) -> float:
        """Return the seconds of the epoch so far, in all sittings."""
        return self.before + time.monotonic() - self.started

    def to_facts(self) -> dict[str, Any]:
        """Return what a checkpoint holds of it."""
        rows = [row._asdict() for row in self.history.rows]
        return {
            "step": self.step,
            "epochs": self.history.epochs,
            "rows": rows,
            "logs": self.logs,
            "spent": self.seconds(),
        }

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> TrainingState:
        """Return the state that `to_facts` described."""
        history = History(EpochRow.from_json(row) for row in facts["rows"])
        return cls(facts["step"], history, facts["logs"], facts["spent"], time.monotonic())


class Images(NamedTuple):
    """The images of a step."""

    names_of: Callable[[int], list[str]]  # names of the images in a batch, by its number
    per_step: int


class Recorder(keras.callbacks.Callback):
    """Counts the steps of a session, and saves the training between two of them.

    Args:
        session: session to record.
        images: images of its steps.
        every: steps between two checkpoints; None goes by time.
        asked: returns what to raise if a stop was asked for.

    Raises:
        TrainingDiverged: a loss or a weight is not finite; nothing of it is saved.
        SavingError: nothing could be saved three times in a row.
        Stopped: a stop was asked for, and all is saved.
    """

    def __init__(
        self,
        session: Session,
        images: Images,
        every: int | None,
        asked: Callable[[], Stopped | None],
    ):
        super().__init__()
        self.session, self.images, self.every, self.asked = session, images, every, asked
        self.state = TrainingState()
        self.saver = Saver(session.folder, session.report)
        self.metrics: Tensors = {}  # of the epoch that a checkpoint left in its midst
        self.first = 0  # step with which this sitting's part of the epoch began
        self.saved = time.monotonic()

    def restore(self, checkpoint: Checkpoint) -> None:
        """Put the model and the state where the checkpoint left them."""
        for group in ("model", "optimizer"):
            restore(self.session.classifier, checkpoint.tensors, group)
        self.state = TrainingState.from_facts(checkpoint.facts)
        self.first = self.state.step
        if self.state.step > self.state.history.epochs * self.session.steps and self.session.steps_left():
            self.metrics = checkpoint.tensors  # Keras clears its metrics when a round of `fit` begins

    def on_epoch_begin(self, epoch, logs=None):
        self.state.started, self.first = time.monotonic(), self.state.step
        if self.metrics:
            restore(self.model, self.metrics, "metrics")
            self.metrics = {}

    def on_train_batch_end(self, batch, logs):
        self.state.step += 1
        self.state.logs = {name: float(logs[name]) for name in ("loss", "accuracy")}
        self._check_finite("loss", self.state.logs["loss"])
        self._check_saved()
        stopped = self.asked()
        if stopped or (self._is_due() and not self.saver.busy):
            self._save(self.model)  # on JAX this property, and nothing else, has the values of the step
        if stopped:
            self._wait_for_all()
            raise stopped

    def _is_due(self) -> bool:
        if self.every:
            return self.state.step % self.every == 0
        return time.monotonic() - self.saved >= SAVE_EVERY

    def seconds_of_steps(self) -> float:
        """Return the seconds that the steps of this sitting's part of the epoch took, before its evaluation."""
        return time.monotonic() - self.state.started

    def add_row(self, evaluation: Evaluation, trained: float) -> dict[str, bytes]:
        """Add the row of an epoch to the history, and return the files of the run with it.

        Args:
            evaluation: evaluation on the validation images.
            trained: seconds that the steps took.
        """
        self._check_finite("validation loss", evaluation.loss)
        state, steps, rates = self.state, self.session.steps, self.session.rates
        first, last = state.history.epochs, self.session.next_evaluated()
        row = EpochRow(
            epoch=last,
            learning_rate=max(float(rates(epoch * steps)) for epoch in range(first, last + 1)),
            train_loss=state.logs["loss"],
            train_accuracy=state.logs["accuracy"],
            validation_loss=evaluation.loss,
            validation_accuracy=evaluation.top(1),
            seconds=state.seconds(),
            images_per_second=(state.step - self.first) * self.images.per_step / trained,
            temperature=evaluation.temperature,
        )
        state.history = state.history.with_row(row)
        weights = weights_to_bytes(self.session.network)
        files = {METRICS: state.history.to_csv().encode(), RECORDS: state.history.to_jsonl().encode()}
        files[WEIGHTS["last"]] = weights
        if state.history.best is row:
            files[WEIGHTS["best"]] = weights
        return files

    def end_epoch(self, files: dict[str, bytes]) -> EpochRow:
        """Save the files of an epoch, and a checkpoint."""
        self.state.before, self.state.started = 0.0, time.monotonic()
        self._save(self.session.classifier, files)
        return self.state.history.last

    def save_and_wait(self) -> None:
        """Save a checkpoint, and wait until it is written in the main process."""
        self._save(self.session.classifier)
        self._wait_for_all()

    def finish(self) -> None:
        """Wait until the last epoch is written, and write again what could not be. Raises SavingError."""
        self._check_saved(wait=True)
        self.saver.finish()
        self.session.cluster.all_max(0)

    def join(self) -> None:
        """Wait for the thread that writes, and raise nothing: the training has ended already."""
        self.saver.join()

    def _save(self, classifier: keras.Model, files: dict[str, bytes] | None = None) -> None:
        if not self.session.cluster.is_main:
            return
        state = self.state
        facts = {**self.session.facts, **state.to_facts()}
        best = state.history.best if len(state.history) else None
        name = checkpoint_name(best.epoch * self.session.steps, best.epoch) if best else ""
        self._check_saved(wait=True)
        self.saver.start(capture(classifier), facts, files or {}, name)
        self.saved = time.monotonic()

    def _wait_for_all(self) -> None:
        """Wait until the main process has written: a launcher may end all processes when one ends."""
        self._check_saved(wait=True)
        self.session.cluster.all_max(0)

    def _check_saved(self, wait: bool = False) -> None:
        try:
            self.saver.wait() if wait else self.saver.check()
        except FloatingPointError as error:
            raise self._diverged(f"{error} is not finite") from None

    def _check_finite(self, name: str, loss: float) -> None:
        if not np.isfinite(loss):
            raise self._diverged(f"the {name} is {loss}")

    def _diverged(self, what: str) -> TrainingDiverged:
        step = self.state.step
        epoch, names = -(-step // self.session.steps), self.images.names_of(step - 1)
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        return TrainingDiverged(
            f"{what} after step {step}, in epoch {epoch}: training diverged, and nothing of it is saved. Use a lower "
            f"--learning-rate or another --dtype. Images of this step: {', '.join(names[:NAMED])}{more}"
        )
