"""The work between two steps of a training: count steps, refuse values that are not finite, save, and stop."""

from __future__ import annotations

from collections.abc import Callable

import keras

from resnext.training.checkpoints import Tensors
from resnext.training.saving import Saving
from resnext.training.signals import Stopped
from resnext.training.state import Plan, TrainingState
from resnext.training.variables import restore


class Recorder(keras.callbacks.Callback):
    """Counts the steps of a training, and saves it between two steps when a checkpoint is due.

    Args:
        plan: plan of the training.
        state: its state, which the steps change.
        saving: object that saves it.
        stopped: function that returns the exception to raise if a stop was requested.
        metrics: Keras's metrics of the epoch in which the checkpoint was written.

    Raises:
        TrainingDiverged: a loss or a weight is not finite; nothing of it is saved.
        SavingError: saving failed three times in a row.
        Stopped: a stop was requested, and everything is saved.
    """

    def __init__(
        self,
        plan: Plan,
        state: TrainingState,
        saving: Saving,
        stopped: Callable[[], Stopped | None],
        metrics: Tensors | None = None,
    ):
        super().__init__()
        self.plan, self.state, self.saving, self.stopped, self.metrics = plan, state, saving, stopped, metrics

    def on_epoch_begin(self, epoch, logs=None):
        self.state.begin()
        if self.metrics:  # Keras clears its metrics when a round of `fit` begins
            restore(self.model, self.metrics, "metrics")
            self.metrics = None

    def on_train_batch_end(self, batch, logs):
        self.state.step += 1
        self.state.logs = {name: float(logs[name]) for name in ("loss", "accuracy")}
        self.state.check_finite(self.plan, "loss", self.state.logs["loss"])
        self.saving.check()
        stopped = self.stopped()
        if stopped or self.saving.is_due():
            self.saving.save(self.model)  # on JAX, only this property has the values of the step
        if stopped:
            self.saving.wait_for_all()
            raise stopped
