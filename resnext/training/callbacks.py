"""Callbacks of a training from Python: functions of the row of an epoch, and the epoch hooks of Keras's callbacks."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from resnext.errors import ArgumentError, kind_of
from resnext.runs.history import EpochRow

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)

# Keras's names of the values that its callbacks monitor, by ours.
KERAS_NAMES = {
    "train_loss": "loss",
    "train_accuracy": "accuracy",
    "validation_loss": "val_loss",
    "validation_accuracy": "val_accuracy",
}
OF_LEARNING_RATE = {"LearningRateScheduler", "ReduceLROnPlateau"}  # callbacks of Keras
Callback: TypeAlias = "Callable[[EpochRow], object] | keras.callbacks.Callback"


def check_callbacks(callbacks: Iterable[Any]) -> tuple[Any, ...]:
    """Return callbacks as a tuple. Raises ArgumentError for anything that is none."""
    given = tuple(callbacks) if isinstance(callbacks, Iterable) else (callbacks,)
    for each in given:
        if not _is_keras(each) and not callable(each):
            raise ArgumentError(
                "a callback must be a function of the row of an epoch, or a keras.callbacks.Callback. Received: "
                f"{type(each).__name__}"
            )
        if OF_LEARNING_RATE & {base.__name__ for base in inspect.getmro(type(each))}:
            raise ArgumentError(
                f"{kind_of(each)} changes the learning rate, which belongs to the recipe here. Pass schedule='cosine', "
                "or schedule='steps' with steps=..."
            )
    return given


class Callbacks:
    """Calls the callbacks of a training after each evaluated epoch.

    A function gets the row, and ends the training by returning True. Of a Keras callback, the hooks of epochs and of
    the training are called, with the row by our names and by Keras's (`val_loss`); it ends the training by
    `self.model.stop_training = True`. Hooks of batches are not called.

    Args:
        callbacks: those that the user passed.
        model: model that Keras's callbacks see.
        epochs: epochs of the training.
        done: epochs that are done, if the training is resumed.
    """

    def __init__(self, callbacks: Iterable[Any], model: keras.Model, epochs: int, done: int):
        self.functions = [each for each in callbacks if not _is_keras(each)]
        self.hooks = [each for each in callbacks if _is_keras(each)]
        self.model, self.epochs, self.done = model, epochs, done

    def begin(self) -> None:
        """Begin the training, and its first epoch."""
        self.model.stop_training = False
        for hook in self.hooks:
            if getattr(hook, "mode", None) == "auto" and hook.monitor in EpochRow._fields:  # Keras knows its own names
                hook.mode = "min" if "loss" in hook.monitor else "max"
            hook.set_params({"epochs": self.epochs, "verbose": 0})
            hook.set_model(self.model)
            hook.on_train_begin()
        self._begin_epoch()

    def end_epoch(self, row: EpochRow) -> bool:
        """Pass a row on; return whether the training is to end."""
        stops = [_is_stop(function(row)) for function in self.functions]
        numbers = row.numbers()
        del numbers["epoch"]  # Keras's callbacks count them
        logs = {**numbers, **{theirs: numbers[ours] for ours, theirs in KERAS_NAMES.items() if ours in numbers}}
        for hook in self.hooks:
            hook.on_epoch_end(row.epoch - 1, dict(logs))  # Keras counts from 0
        self.done = row.epoch
        is_over = any(stops) or bool(self.hooks and self.model.stop_training)
        if not is_over and self.done < self.epochs:
            self._begin_epoch()
        return is_over

    def end(self) -> None:
        """End the training, however it ended."""
        for hook in self.hooks:
            hook.on_train_end()

    def _begin_epoch(self) -> None:
        for hook in self.hooks:
            hook.on_epoch_begin(self.done)


def _is_stop(answer: object) -> bool:
    """Return whether a function's answer ends the training; an answer that is no truth value is reported."""
    if isinstance(answer, bool | np.bool_):
        return bool(answer)
    if answer is not None:
        logger.warning(f"a callback returned {answer!r}, which is neither True, to end the training, nor False or None")
    return False


def _is_keras(callback: Any) -> bool:
    return hasattr(callback, "on_epoch_end") and hasattr(callback, "set_model")
