"""Probabilities of logits: large ones, and ties."""

import numpy as np
import pytest

from resnext.metrics.probabilities import log_softmax, most_probable, softmax

pytestmark = pytest.mark.once


def test_large_logits_overflow_nowhere():
    logits = np.array([[1e4, 0.0, -1e4], [88.0, 89.0, 90.0]], np.float32)
    with np.errstate(all="raise", under="ignore"):
        np.testing.assert_allclose(softmax(logits)[0], [1, 0, 0])
        np.testing.assert_allclose(log_softmax(logits)[0], [0, -1e4, -2e4])
    np.testing.assert_allclose(softmax(logits)[1], np.exp([-2, -1, 0]) / np.exp([-2, -1, 0]).sum(), rtol=1e-6)


def test_ties_keep_their_order():
    values = np.random.default_rng(0).integers(0, 5, 1000) / 5
    assert most_probable(values, 1000).tolist() == sorted(range(1000), key=lambda place: -values[place])
