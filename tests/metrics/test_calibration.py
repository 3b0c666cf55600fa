"""Calibration error and temperature, against the paper and SciPy."""

import numpy as np
import pytest

from resnext.metrics.calibration import BINS, TEMPERATURES, calibration_error, reliability
from resnext.metrics.evaluation import Evaluation
from support.evaluations import some_evaluation

pytestmark = pytest.mark.once


def test_calibration_error_is_the_papers():
    """Guo et al. 2017, equation 3, by hand: fifteen bins, each closed above."""
    given, _ = some_evaluation(sharpness=2.0)
    right = given.predicted == given.labels
    expected = 0.0
    for i in range(BINS):
        inside = (given.probabilities > i / BINS) & (given.probabilities <= (i + 1) / BINS)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - given.probabilities[inside].mean())
    assert given.metrics()["ece"] == pytest.approx(expected, abs=1e-6)
    assert sum(each.images for each in reliability(given.probabilities, right)) == 500
    assert calibration_error(np.array([1.0, 1.0]), np.array([True, True])) == 0
    rows = [np.log([[0.9, 0.1], [0.2, 0.8]])]
    assert Evaluation.of(("a", "b"), np.array([0, 1]), rows).temperature == 1  # all right: nothing to calibrate by


@pytest.mark.parametrize("sharpness", [0.4, 1.0, 3.0])
def test_temperature_minimises_the_loss(sharpness):
    given, probabilities = some_evaluation(sharpness=sharpness)
    rows = np.log(probabilities)

    def loss(temperature):
        scaled = rows / temperature
        return float(np.mean(np.log(np.exp(scaled).sum(axis=1)) - scaled[np.arange(500), given.labels]))

    tried = np.geomspace(0.15, 7, 4001)
    assert given.temperature == pytest.approx(tried[np.argmin([loss(each) for each in tried])], rel=3e-3)
    assert given.losses_by_temperature == pytest.approx([loss(each) for each in TEMPERATURES], rel=1e-5)
    calibrated, _ = some_evaluation(sharpness=sharpness, temperature=given.temperature)
    scaled = np.exp(rows / given.temperature)
    assert calibrated.calibrated == pytest.approx((scaled / scaled.sum(axis=1, keepdims=True)).max(axis=1), abs=1e-5)
    assert (calibrated.probabilities == given.probabilities).all()
