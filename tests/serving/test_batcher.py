"""The batcher, with a network that waits to be told."""

import threading
import time

import numpy as np
import pytest

from resnext.engines.engine import Outputs
from resnext.errors import ClosedError, DeadlineError, OverloadedError

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from resnext.serving.batcher import Batcher
from resnext.serving.pace import Pace


class Held:
    """A network that computes when it may, and remembers how many images it was given at once."""

    def __init__(self):
        self.may, self.batches = threading.Semaphore(0), []

    def __call__(self, images):
        self.may.acquire()
        self.batches.append(len(images))
        if images[0, 0, 0, 0] == 255:
            raise ValueError("a bug")
        return Outputs(images[:, 0, 0, :1].astype(np.float32))


def pixels(value, count=1):
    return np.full((count, 1, 1, 3), value, np.uint8)


@pytest.mark.once
def test_what_waits_is_computed_at_once_and_in_order():
    network = Held()
    batcher = Batcher(network, Pace(4, 0.0), queue=64, deadline=60)
    until = time.monotonic() + 60
    futures = []
    for value in range(7):
        batcher.admit(1)
        futures.append(batcher.submit(pixels(value), until))
        while value == 0 and batcher._works:
            time.sleep(0.001)  # the first is computed alone, for nothing else is there
    for _ in range(3):
        network.may.release()
    assert [future.result(10).logits.tolist() for future in futures] == [[[value]] for value in range(7)]
    assert network.batches == [1, 4, 2]
    batcher.leave(7)
    batcher.close(10)


@pytest.mark.once
def test_a_large_request_is_computed_in_batches_and_late_ones_among_others_are_not():
    network = Held()
    batcher = Batcher(network, Pace(4, 0.0), queue=64, deadline=60)
    batcher.admit(13)
    large = batcher.submit(np.arange(10, dtype=np.uint8)[:, None, None, None].repeat(3, 3), time.monotonic() + 60)
    while batcher._works:
        time.sleep(0.001)
    ends = [time.monotonic() + 60, time.monotonic() - 1, time.monotonic() - 1]
    three = [batcher.submit(pixels(20 + i), end) for i, end in enumerate(ends)]
    for _ in range(4):
        network.may.release()
    assert large.result(10).logits.ravel().tolist() == [*range(10)]
    assert three[0].result(10).logits == 20
    for late in three[1:]:
        with pytest.raises(DeadlineError):
            late.result(10)
    assert network.batches == [4, 4, 2, 1]
    batcher.leave(13)
    batcher.close(10)


@pytest.mark.once
def test_the_wait_is_learned_from_requests():
    """With the time for decoding, and from the first request on."""
    batcher = Batcher(Held(), Pace(4, 1.0), queue=64, deadline=10)
    assert batcher.admit(8) == 8
    with pytest.raises(OverloadedError, match="try again in 8 s"):
        batcher.admit(1)  # nine images in eight seconds
    for _ in range(40):
        batcher.measure(4, 1.0)
    assert batcher.admit(20) == 28
    with pytest.raises(OverloadedError, match="try again in 8 s"):
        batcher.admit(5)


@pytest.mark.once
def test_too_much_is_refused_and_too_late_is_not_computed():
    network = Held()
    batcher = Batcher(network, Pace(4, 0.0), queue=32, deadline=60)
    batcher.admit(32)
    with pytest.raises(OverloadedError, match=r"^too many images are waiting; try again in 1 s$"):
        batcher.admit(1)
    batcher.leave(31)
    batcher.seconds_per_image = 30.0  # the wait would be longer than the deadline
    with pytest.raises(OverloadedError, match="try again in 30 s"):
        batcher.admit(1)
    first = batcher.submit(pixels(1), time.monotonic() + 60)
    while batcher._works:
        time.sleep(0.001)
    late = batcher.submit(pixels(2), time.monotonic() - 1)
    network.may.release()
    assert first.result(10).logits == 1
    with pytest.raises(DeadlineError):
        late.result(10)
    bug = batcher.submit(pixels(255), time.monotonic() + 60)
    network.may.release()
    with pytest.raises(ValueError, match="a bug"):
        bug.result(10)
    batcher.leave(1)
    batcher.close(10)
    with pytest.raises(ClosedError):
        batcher.admit(1)
    assert network.batches == [1, 1]
