"""What happens between two steps of a training: it counts them, refuses what is not finite, saves, and stops."""

from __future__ import annotations

from collections.abc import Callable

import keras

from resnext.training.checkpoints import Tensors
from resnext.training.saving import Saving
from resnext.training.signals import Stopped
from resnext.training.state import Plan, TrainingState
from resnext.training.variables import restore


class Recorder(keras.callbacks.Callback):
    """Counts the steps of a training, and saves it between two of them when that is due.

    Args:
        plan: plan of the training.
        state: its state, which the steps change.
        saving: what saves it.
        stopped: returns what to raise if a stop was requested.
        metrics: Keras's metrics of the epoch in which a checkpoint left the training.

    Raises:
        TrainingDiverged: a loss or a weight is not finite; nothing of it is saved.
        SavingError: nothing could be saved three times in a row.
        Stopped: a stop was requested, and all is saved.
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
            self.saving.save(self.model)  # on JAX this property, and nothing else, has the values of the step
        if stopped:
            self.saving.wait_for_all()
            raise stopped
