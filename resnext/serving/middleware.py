"""The checks before every request: who may ask, how much at once, and what a browser may do with the answer."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import re
from collections.abc import Callable
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse

from resnext.serving.limits import DISCARD_SECONDS, MAX_BODY, MAX_DISCARDED
from resnext.serving.options import ServingOptions, is_loopback
from resnext.serving.service import Service

OPEN = ("/", "/page.css", "/page.js", "/v2/health/live", "/v2/health/ready")  # paths that need no token
ALWAYS = ("/v2/health/live", "/metrics")  # paths that are answered even during shutdown
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class Guard:
    """An ASGI application that refuses requests that should not reach the one behind it.

    Args:
        app: application behind it.
        service: service, which knows whether the server is shutting down.
        options: address and token.
    """

    def __init__(self, app: Callable, service: Service, options: ServingOptions):
        self.app, self.service, self.options = app, service, options

    async def __call__(self, scope: dict[str, Any], receive: Callable, send: Callable) -> None:
        if scope["type"] != "http":
            return
        refusal = self._refusal(scope["method"], scope["path"], Headers(scope=scope))
        exchange = _Exchange(receive, send)
        self.service.in_flight += 1
        try:
            await (refusal or self.app)(scope, exchange.receive, exchange.send)
        finally:
            self.service.in_flight -= 1

    def _refusal(self, method: str, path: str, headers: Headers) -> JSONResponse | None:
        """Return the answer to a refused request, or None."""
        host, origin = headers.get("host", ""), headers.get("origin")
        if self.options.is_local and self.options.token is None and not _is_local(host):
            return refused(421, "this server accepts requests from this machine only; use http://localhost")
        is_link = path == "/" and headers.get("sec-fetch-mode") == "navigate"
        is_foreign = headers.get("sec-fetch-site") == "cross-site" and not is_link
        if is_foreign or (origin is not None and origin.partition("://")[2] != host):
            return refused(403, "requests from other sites' pages are refused")
        if self.service.is_draining and path not in ALWAYS:
            return refused(503, "this server is shutting down", {"retry-after": "1"})
        if self.options.token is not None and path not in OPEN and not self._has_token(headers):
            return refused(401, "send the token: Authorization: Bearer TOKEN", {"www-authenticate": "Bearer"})
        if headers.get("content-encoding", "identity") != "identity":
            return refused(415, "send the body unencoded, without Content-Encoding")
        length = headers.get("content-length")
        if length is not None and "transfer-encoding" in headers:
            return refused(400, "send Content-Length or Transfer-Encoding, not both")
        if length is not None and length.isdecimal() and int(length) > MAX_BODY:
            return refused(413, f"a body has {MAX_BODY:,} bytes at most. Received: {int(length):,}")
        return None

    def _has_token(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        is_same = hmac.compare_digest(given.encode(), (self.options.token or "").encode())
        return is_same and scheme.lower() == "bearer"


class _Exchange:
    """A request and its answer: remembers whether the body has been read, and adds HEADERS to the answer."""

    def __init__(self, receive: Callable, send: Callable):
        self._receive, self._send = receive, send
        self.is_read = False

    async def receive(self) -> dict[str, Any]:
        message = await self._receive()
        self.is_read = not message.get("more_body")
        return message

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            if message["status"] >= 400 and not self.is_read:
                await _discard(self._receive)
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await self._send(message)


def _is_local(host: str) -> bool:
    """Return whether a request's Host is one of this machine's own names, because other names may resolve to it, too.

    >>> [_is_local(host) for host in ("localhost:8000", "[::1]", "127.0.0.2", "example.com")]
    [True, True, True, False]
    """
    return is_loopback(re.sub(r":\d+$", "", host).strip("[]").rstrip(".").lower())


async def _discard(receive: Callable) -> None:
    """Read what a client is still sending, up to a size and a time limit, so that it sees the answer."""
    left = MAX_DISCARDED
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DISCARD_SECONDS):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if message["type"] != "http.request" or not message.get("more_body"):
                    return


def refused(status: int, reason: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return an answer with the reason that closes the connection, because the body may not have been read."""
    return JSONResponse({"error": reason}, status, {"connection": "close", **(headers or {})})
