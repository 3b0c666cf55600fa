"""The bodies of requests: the room for all of them together, and the time for each to arrive."""

from __future__ import annotations

import asyncio
import time

from starlette.exceptions import HTTPException
from starlette.requests import Request

from resnext.errors import OverloadedError
from resnext.serving.limits import BODY_SECONDS, LEAST_RATE, MAX_BODIES, MAX_BODY, RESTED_SECONDS


class Bodies:
    """All bodies in the memory of a server, being read or computed."""

    def __init__(self):
        self.bytes = 0
        self._arriving: dict[Body, None] = {}  # in the order of their last bytes

    def make_room(self, for_whom: Body) -> None:
        """End the body that has rested longest if there is no more room. Raises OverloadedError if none has rested."""
        if self.bytes <= MAX_BODIES:
            return
        longest = next(iter(self._arriving))
        if longest is for_whom or longest.rested() < RESTED_SECONDS:
            raise OverloadedError(1)
        longest.end()

    def moved(self, body: Body) -> None:
        """Note that bytes of a body have arrived."""
        self._arriving.pop(body, None)
        self._arriving[body] = None

    def left(self, body: Body) -> None:
        """Note that a body has arrived, or will not."""
        self._arriving.pop(body, None)


class Body:
    """The body of one request, in memory until `release`.

    Args:
        bodies: all bodies of the server.
    """

    def __init__(self, bodies: Bodies):
        self.bodies, self.content = bodies, bytearray()
        self.started = self.last = time.monotonic()
        self._limit = asyncio.timeout(None)
        self._is_ended = False

    async def read(self, request: Request) -> bytes:
        """Read the body within limits of its size and time. Raises HTTPException, OverloadedError."""
        try:
            async with self._limit:
                self._arrived(b"")
                async for chunk in request.stream():
                    self._arrived(chunk)
                if self._is_ended:  # while its last bytes were on their way
                    raise TimeoutError
        except TimeoutError:
            raise HTTPException(
                408, f"the body did not arrive within {BODY_SECONDS:g} s, or arrived too slowly"
            ) from None
        finally:
            self.bodies.left(self)
        if not self.content:
            raise HTTPException(400, "the body is empty")
        return bytes(self.content)

    def rested(self) -> float:
        """Return the seconds since its last bytes."""
        return time.monotonic() - self.last

    def end(self) -> None:
        """Let the reading of it fail, and free its room at once."""
        self._is_ended = True
        self._limit.reschedule(0.0)
        self.bodies.left(self)
        self.release()
        self.content.clear()

    def release(self) -> None:
        """Free its room."""
        self.bodies.bytes -= len(self.content)

    def _arrived(self, chunk: bytes) -> None:
        if self._is_ended:
            raise TimeoutError
        self.last = time.monotonic()
        self.content += chunk
        self.bodies.bytes += len(chunk)
        if chunk:
            self.bodies.moved(self)
        if len(self.content) > MAX_BODY:
            raise HTTPException(413, f"a body has {MAX_BODY:,} bytes at most")
        self.bodies.make_room(self)
        until = min(self.last, self.started + len(self.content) / LEAST_RATE) + BODY_SECONDS
        self._limit.reschedule(asyncio.get_running_loop().time() + until - time.monotonic())
