"""Intervals of shares, against SciPy, numbers of statsmodels, and drawn samples."""

import numpy as np
import pytest

from resnext.metrics.intervals import wilson, wilson_of_mean

pytestmark = pytest.mark.once


@pytest.mark.parametrize(("count", "total"), [(0, 1), (1, 1), (0, 32), (32, 32), (31, 32), (336, 400), (7, 50_000)])
def test_shares_have_wilsons_interval(count, total):
    stats = pytest.importorskip("scipy.stats")
    interval = stats.binomtest(count, total).proportion_ci(method="wilson")
    assert wilson(count, total) == pytest.approx((interval.low, interval.high), abs=1e-12)


@pytest.mark.parametrize(
    ("count", "total", "expected"),
    [
        (32, 32, (0.8928208017449293, 1.0)),
        (0, 32, (0.0, 0.10717919825507066)),
        (31, 32, (0.8425573617998744, 0.9944621398359969)),
        (336, 400, (0.8008643954521164, 0.8726672444005619)),
    ],
)
def test_they_are_those_of_statsmodels(count, total, expected):
    """statsmodels 0.15.0, `proportion_confint(count, total, method="wilson")`."""
    assert wilson(count, total) == pytest.approx(expected, abs=1e-12)


def test_the_mean_of_one_share_is_the_share():
    assert wilson_of_mean(np.array([7]), np.array([9])) == pytest.approx(wilson(7, 9))
    assert wilson_of_mean(np.array([3, 0]), np.array([3, 5]))[0] > 0
    assert wilson_of_mean(np.array([3, 5]), np.array([3, 5]))[1] == 1.0


def test_the_mean_of_shares_is_covered_as_often_as_it_says():
    totals, truth = np.array([5, 20, 60]), np.array([0.9, 0.7, 0.95])
    draws = np.random.default_rng(0).binomial(totals, truth, (1000, 3))
    bounds = np.array([wilson_of_mean(counts, totals) for counts in draws])
    covered = ((bounds[:, 0] <= truth.mean()) & (truth.mean() <= bounds[:, 1])).mean()
    assert 0.93 <= covered <= 0.99
