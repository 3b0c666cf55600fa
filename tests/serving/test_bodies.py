"""The bodies of requests: who is ended when time or room runs out."""

import asyncio

import pytest

pytest.importorskip("starlette")

from starlette.exceptions import HTTPException

from resnext.errors import OverloadedError
from resnext.serving import bodies
from resnext.serving.bodies import Bodies, Body

pytestmark = pytest.mark.once


class Sent:
    """A request whose body arrives in pieces, each after some seconds; the last of them may never come."""

    def __init__(self, *pieces, ends=True):
        self.pieces, self.ends = pieces, ends

    async def stream(self):
        for seconds, length in self.pieces:
            await asyncio.sleep(seconds)
            yield bytes(length)
        if not self.ends:
            await asyncio.sleep(3600)


def read(*requests):
    """Return the answer to each, the length of its body or its error; and what is left in memory."""

    async def one(room, request):
        body = Body(room)
        try:
            return len(await body.read(request))
        except HTTPException as error:
            return error.status_code
        except OverloadedError:
            return 429
        finally:
            body.release()

    async def every():
        room = Bodies()
        return await asyncio.gather(*(one(room, request) for request in requests)), room.bytes

    return asyncio.run(every())


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    for name, value in (("BODY_SECONDS", 0.2), ("RESTED_SECONDS", 0.05), ("MAX_BODY", 1000), ("MAX_BODIES", 2000)):
        monkeypatch.setattr(bodies, name, value)
    monkeypatch.setattr(bodies, "LEAST_RATE", 1000)


def test_bytes_that_came_at_once_earn_no_silence():
    """1,000 bytes are worth a second at this rate, but not after they have arrived."""
    given, left = read(Sent((0, 1000), (0.5, 0)))
    assert (given, left) == ([408], 0)


def test_a_slow_body_that_keeps_the_rate_arrives():
    given, left = read(Sent(*[(0.1, 100)] * 8))
    assert (given, left) == ([800], 0)


def test_a_trickle_is_ended():
    given, left = read(Sent(*[(0.1, 1)] * 8))
    assert (given, left) == ([408], 0)


def test_who_rests_makes_room():
    given, left = read(
        Sent((0, 900), ends=False), Sent((0.03, 900), ends=False), Sent((0.1, 500), (0.05, 0)), Sent((0.12, 900))
    )
    assert (given, left) == ([408, 408, 500, 900], 0)


def test_without_anybody_at_rest_there_is_no_room():
    given, left = read(*[Sent((0.1, 900), (0.04, 1))] * 2, Sent((0.12, 900)))
    assert (given, left) == ([901, 901, 429], 0)


@pytest.mark.parametrize("last", [b"x", b""])
def test_a_body_that_was_ended_stays_so_whatever_is_on_its_way(last):
    class Late:
        async def stream(self):
            yield bytes(900)
            body.end()
            if last:
                yield last

    async def read_it():
        nonlocal body
        body = Body(Bodies())
        await body.read(Late())

    body = None
    with pytest.raises(HTTPException, match="did not arrive"):
        asyncio.run(read_it())
    assert not body.content


def test_one_body_has_its_size():
    assert read(Sent((0, 900), (0, 101)), Sent())[0] == [413, 400]
