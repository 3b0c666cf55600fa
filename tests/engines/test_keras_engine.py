"""A network in Keras as an engine."""

import logging

import numpy as np
import pytest

from resnext.engines.keras_engine import KerasEngine

pytestmark = pytest.mark.once
TENSORFLOW = logging.getLogger("tensorflow")


class Chatty:
    """A classifier whose backend warns as TensorFlow does when several networks of a process are traced."""

    def predict_on_batch(self, rows):
        TENSORFLOW.warning("5 out of the last 5 calls to <function f> triggered tf.function retracing.")
        TENSORFLOW.warning("something is wrong")
        return np.zeros((len(rows), 2), np.float32)


def test_the_warning_of_frequent_tracing_is_left_out_and_no_other(caplog, monkeypatch):
    monkeypatch.setattr(TENSORFLOW, "propagate", True)
    with caplog.at_level("WARNING", "tensorflow"):
        KerasEngine(Chatty()).outputs(np.zeros((1, 8, 8, 3), np.uint8))
        TENSORFLOW.warning("retracing of the program's own")
    assert caplog.messages == ["something is wrong", "retracing of the program's own"]
