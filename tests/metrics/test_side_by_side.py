"""Two models on the same images, against SciPy."""

import numpy as np
import pytest

from resnext.errors import ArgumentError
from resnext.metrics.side_by_side import side_by_side

pytestmark = pytest.mark.once


def test_two_models_are_compared_as_scipy_does():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    for chance in (0.5, 0.7, 0.9):
        first, second = rng.random(400) < chance, rng.random(400) < 0.6
        table = side_by_side(first, second)
        assert sum(table[:4]) == 400
        only = table.only_first, table.only_second
        assert only == ((first & ~second).sum(), (~first & second).sum())
        assert table.p == pytest.approx(stats.binomtest(only[0], sum(only)).pvalue, rel=1e-6)
    assert side_by_side(first, first).p == 1
    with pytest.raises(ArgumentError, match=r"both models must be evaluated on the same images. Received: 400, 3"):
        side_by_side(first, first[:3])
