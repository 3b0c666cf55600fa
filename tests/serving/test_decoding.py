"""Decoding: usual photos overtake costly ones, of which few may wait, and a deadline ends the work."""

import io
import threading
import time

import numpy as np
import pytest
from PIL import Image

from resnext.errors import DeadlineError, OverloadedError
from resnext.images.preprocessing import Preprocessing
from resnext.serving import decoding
from resnext.serving.decoding import Decoder, read_files
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
        ([many_scans(80, 200)], 2_560_000),
        ([b"P3\n300 300\n255\n" + b"0 " * 270_000], 1_440_000),
        ([SMALL, LARGE, SMALL], 1_500_000 + 2 * 40 * 48),
    ],
    ids=["large", "scans", "text", "several"],
)
def test_costly_files_are_left_to_their_own_thread(decoder, files, cost, monkeypatch):
    monkeypatch.setattr(decoding, "COSTLY", 1_000_000)
    assert decoder.decode(files, PREPROCESSING, soon()).result(30) == cost
    seen = decoder.decode_costly(files, PREPROCESSING, soon(), cost).result(30)
    for content, pixels in zip(files, seen.pixels, strict=True):
        np.testing.assert_array_equal(pixels, PREPROCESSING.load(io.BytesIO(content)))
    assert decoder.waiting == 0


def test_usual_photos_do_not_wait_for_costly_ones(decoder, monkeypatch):
    go = threading.Event()
    monkeypatch.setattr(decoding, "read_files", lambda files, *_: go.wait(30) if files == [LARGE] else "read")
    costly = [decoder.decode_costly([LARGE], PREPROCESSING, soon(), 35_000_000) for _ in range(10)]
    assert decoder.decode([SMALL], PREPROCESSING, soon()).result(10) == "read"
    assert not costly[0].done()
    go.set()


def test_few_costly_files_may_wait(decoder, monkeypatch):
    go = threading.Event()
    monkeypatch.setattr(decoding, "read_files", lambda *_: go.wait(30))
    first = decoder.decode_costly([LARGE], PREPROCESSING, soon(), 2_000_000_000)  # nobody else is waiting
    with pytest.raises(OverloadedError) as caught:
        decoder.decode_costly([LARGE], PREPROCESSING, soon(), 35_000_000)
    assert caught.value.retry_after == 32
    go.set()
    first.result(10)
    decoder.decode_costly([LARGE], PREPROCESSING, soon(), 600_000_000).result(10)
    assert decoder.waiting == 0


def test_the_deadline_ends_the_reading_between_two_files():
    with pytest.raises(DeadlineError):
        read_files([SMALL], PREPROCESSING, time.monotonic() - 1)
