"""How many images are computed at once: no more than saves time."""

from types import SimpleNamespace

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from resnext.serving.pace import Pace, measure_pace


@pytest.mark.once
@pytest.mark.parametrize(
    ("most", "seconds", "tried", "pace"),
    [
        (16, lambda images: 0.25 * images, [1, 2], Pace(1, 0.25)),  # nothing is saved
        (6, lambda images: 1.0, [1, 2, 4, 6], Pace(6, 1 / 6)),
        (16, lambda images: max(4, images), [1, 2, 4, 8], Pace(4, 1.0)),
    ],
)
def test_no_more_is_computed_at_once_than_saves_time(monkeypatch, most, seconds, tried, pace):
    """A photo must not wait for others where all of them take as long one by one."""
    clock, given = SimpleNamespace(now=0.0), []

    def network(images):
        clock.now += seconds(len(images))
        given.append(len(images))

    monkeypatch.setattr("resnext.serving.pace.time", SimpleNamespace(perf_counter=lambda: clock.now))
    assert measure_pace(network, (8, 8, 3), most) == pace
    assert sorted({*given}) == tried
