"""Decoding: usual photos overtake costly ones, of which few may wait, and a deadline ends the work."""

import asyncio
import io
import threading
import time
from functools import partial

import numpy as np
import pytest
from PIL import Image

from resnext.errors import DeadlineError, OverloadedError
from resnext.images.preprocessing import Preprocessing
from resnext.serving import decoding
from resnext.serving.decoding import Decoder, Seen, read_files
from resnext.serving.earliest_first import EarliestFirst
from support.hostile_images import many_scans, saved

pytestmark = pytest.mark.once

PREPROCESSING = Preprocessing(32, 36)
SMALL = saved()
LARGE = saved(Image.new("L", (1500, 1000)))


@pytest.fixture
def decoder():
    decoder = Decoder()
    yield decoder
    decoder.close()


def soon():
    return time.monotonic() + 60


@pytest.mark.parametrize(
    ("files", "cost"),
    [
        ([LARGE], 1_500_000),
        ([many_scans(80, 300)], 1_440_000),
        ([b"P3\n300 300\n255\n" + b"0 " * 270_000], 1_440_000),
        ([SMALL, LARGE, SMALL], 1_500_000 + 2 * 40 * 48),
    ],
    ids=["large", "scans", "text", "several"],
)
def test_costly_files_are_left_to_their_own_thread(decoder, files, cost, monkeypatch):
    monkeypatch.setattr(decoding, "COSTLY", 1_000_000)
    costs = decoder.decode(files, PREPROCESSING, soon()).result(30)
    assert (len(costs), sum(costs)) == (len(files), cost)
    seen = asyncio.run(decoder.decode_costly(files, PREPROCESSING, soon(), costs))
    for content, pixels in zip(files, seen.pixels, strict=True):
        np.testing.assert_array_equal(pixels, PREPROCESSING.load(io.BytesIO(content)))
    assert not decoder.waiting


@pytest.fixture
def held(decoder, monkeypatch):
    """Files whose decoding waits for a sign, those that have begun, and the sign."""
    go, begun = threading.Event(), []

    def read(files, *_):
        begun.append(files[0])
        return go.wait(30) and Seen(np.zeros((1, 32, 32, 3), np.uint8))

    monkeypatch.setattr(decoding, "read_files", read)
    decoder.costly = EarliestFirst(1, "decode-costly")
    yield begun, go
    go.set()


async def several(decoder, files, costs, go):
    """Send each file in a request of its own, in turn; then let them be decoded."""
    tasks = []
    for file, cost in zip(files, costs, strict=True):
        tasks.append(asyncio.create_task(decoder.decode_costly([file], PREPROCESSING, soon(), [cost])))
        await asyncio.sleep(0.02)
    go.set()
    await asyncio.gather(*tasks)


@pytest.mark.usefixtures("held")
def test_small_files_do_not_wait_for_costly_ones(decoder, monkeypatch):
    waiting = [decoder.costly.submit(0, decoding.read_files, [LARGE]) for _ in range(10)]
    monkeypatch.setattr(decoding, "read_files", lambda *_: "read")
    assert decoder.decode([SMALL], PREPROCESSING, soon()).result(10) == "read"
    assert not waiting[0].done()


def test_cheaper_files_overtake_dearer_ones_but_not_for_ever(decoder, held):
    begun, go = held
    decoder.costly.submit(0, decoding.read_files, [b"first"])
    asyncio.run(several(decoder, [b"dear", b"cheap", b"also cheap"], [30_000_000, 3_000_000, 3_000_000], go))
    assert begun == [b"first", b"cheap", b"also cheap", b"dear"]


def test_a_file_is_due_when_its_share_would_be_done(monkeypatch):
    monkeypatch.setattr(decoding.time, "monotonic", lambda: 100.0)
    assert decoding._due(32_000_000) == 116.0
    assert decoding._due(2_000_000) == 101.0


def test_few_costly_files_may_wait(decoder, held):
    _, go = held

    async def ask():
        read = partial(decoder.decode_costly, [LARGE], PREPROCESSING, soon())
        first = asyncio.create_task(read([2_000_000_000]))  # nobody else is waiting
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError) as caught:
            await read([2_100_000_000])
        assert caught.value.retry_after == 63
        cheaper = asyncio.create_task(read([35_000_000]))  # is due before, so that it counts nothing that is ahead
        await asyncio.sleep(0)
        go.set()
        await asyncio.gather(first, cheaper)

    asyncio.run(ask())
    assert not decoder.waiting


def test_files_that_wait_when_the_server_closes_are_cancelled(decoder, held):
    _, go = held
    first, second = (decoder.costly.submit(due, decoding.read_files, [LARGE]) for due in (0, 1))
    decoder.close()
    assert second.cancelled()
    go.set()
    first.result(10)


def test_the_deadline_ends_the_reading_between_two_files():
    with pytest.raises(DeadlineError):
        read_files([SMALL], PREPROCESSING, time.monotonic() - 1)
