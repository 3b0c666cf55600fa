"""The server process: its socket, its connections, its signals and its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from resnext.errors import ArgumentError
from resnext.serving.app import build_app
from resnext.serving.limits import (
    BACKLOG,
    EXTENSION,
    FREE_CHUNKS,
    HEADER_SECONDS,
    KEEP_ALIVE,
    LEAST_CHUNK,
    MAX_CONNECTIONS,
    STALLED_SECONDS,
)  # fmt: skip
from resnext.serving.metrics import Metrics
from resnext.serving.models import Models, by_name
from resnext.serving.options import ServingOptions
from resnext.serving.service import Service

PIECE = 4096  # bytes of a head that are read at once: the chunks of a body may follow it
NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # SIGHUP comes when a terminal closes; Windows has SIGBREAK
STOPS: tuple[int, ...] = tuple(getattr(signal, name) for name in NAMES if hasattr(signal, name))


def serve(models: Sequence[str], options: ServingOptions, ready: Callable[[str], None] = print) -> None:
    """Serve trained networks until a signal arrives; requests in progress are still answered.

    Args:
        models: `MODEL` or `NAME=MODEL` for each, as `Model.open` accepts them.
        options: address, limits and token.
        ready: function called with lines for the user when the server is ready: the models, the address, any new token.

    Raises:
        ArgumentError, RunError, WeightsError: a model cannot be served.
        OSError: the address is in use, or is not this machine's.
    """
    sources = by_name(models)
    is_new = not options.is_local and options.token is None
    if is_new:
        options = replace(options, token=secrets.token_urlsafe(24))
    listening = _listen(options)
    with contextlib.closing(listening):
        metrics = Metrics()
        opened = Models(sources, options, metrics)
        service = Service(opened, options, metrics)
        ready(_welcome(opened, options, listening.getsockname()[1], is_new))
        asyncio.run(_run(service, listening))


def _listen(options: ServingOptions) -> socket.socket:
    """Open the socket before the models are loaded, because loading takes seconds. Raises ArgumentError."""
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    try:
        both = options.host == "::" and socket.has_dualstack_ipv6()
        return socket.create_server((options.host, options.port), family=family, backlog=BACKLOG, dualstack_ipv6=both)
    except OSError as error:
        place, reason = f"{options.host}:{options.port}", str(error.strerror or error).partition(" (while")[0]
        raise ArgumentError(f"{place}: can't listen there ({reason}). Pass another --host or --port.") from error


def _welcome(models: Models, options: ServingOptions, port: int, is_new: bool) -> str:
    """Return the lines for the user; only a new token is shown, because a known one should not be in a log."""
    host = f"[{options.host}]" if ":" in options.host else options.host
    host = socket.gethostname() if options.host in ("", "0.0.0.0", "::") else host
    token = f"/#token={quote(options.token, safe='')}" if options.token and is_new else ""
    lines = []
    for name, served in models.by_name.items():
        model = served.loaded.model
        size = model.preprocessing.size
        lines.append(f"{name}: {model.network}, {len(model.classes):,} classes, {size} pixels, by {model.engine_name}")
    return "\n".join([*lines, f"serving at http://{host}:{port}{token} - stop with Ctrl-C"])


class _Server(uvicorn.Server):
    """uvicorn's server, which leaves signals to this module."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Protocol(H11Protocol):
    """uvicorn's HTTP/1.1, which closes connections that do not send the head of a request or read answers in time."""

    _timer: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None
    _is_ended = False
    _counted: Any = None  # the request of whose body the chunks are counted
    _lines = _bytes = 0  # of its body so far

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._begin()

    def data_received(self, data: bytes) -> None:
        if self._timer is None and self._is_idle:
            self._begin()
        for piece in self._pieces(data):
            if self._has_too_many_chunks(piece):
                self._refuse_chunks()
                return
            super().data_received(piece)
        if not self._is_idle:
            self._end()

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        """Yield what has arrived: a body at once, the head of a request piece by piece, because a body may follow."""
        place = 0
        while place == 0 or (place < len(data) and not self.transport.is_closing()):
            end = len(data) if self.conn.their_state is h11.SEND_BODY else place + PIECE
            yield data[place:end]
            place = max(end, 1)

    def _has_too_many_chunks(self, piece: bytes) -> bool:
        """Return whether a body comes in so many chunks that reading it would hold up all other connections."""
        is_body = self.conn.their_state is h11.SEND_BODY
        if not is_body or self.cycle is not self._counted:
            self._counted, self._lines, self._bytes = self.cycle, 0, 0
        if not is_body or all(name != b"transfer-encoding" for name, _ in self.headers):
            return False
        lines = piece.split(b"\r\n")
        self._lines += len(lines) - 1  # two for each chunk
        self._bytes += sum(len(line) for line in lines if b";" not in line[:EXTENSION])  # extensions do not count
        return self._lines > 2 * (FREE_CHUNKS + self._bytes // LEAST_CHUNK)

    def _refuse_chunks(self) -> None:
        if self.conn.our_state is h11.SEND_RESPONSE:
            self.send_400_response(f"The chunks of a body must have {LEAST_CHUNK} bytes or more on average.")
        else:
            self.transport.abort()

    def eof_received(self) -> bool:
        """Keep the connection of a client that has closed its side until it has its answer."""
        self._is_ended = True
        if self.conn.their_state is h11.SEND_BODY and not self.cycle.response_started:
            self.data_received(b"")  # the rest of the body will never come: 400
        return not self._is_idle

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._is_ended and self._is_idle:
            self.transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(STALLED_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self.loop.call_later(STALLED_SECONDS, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        super().connection_lost(exc)

    @property
    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _begin(self) -> None:
        self._timer = self.loop.call_later(HEADER_SECONDS, self.transport.abort)

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


async def _run(service: Service, listening: socket.socket) -> None:
    _allow_many_connections()
    config = uvicorn.Config(
        build_app(service), http=_Protocol, ws="none", lifespan="off", log_config=None, access_log=False,
        server_header=False, limit_concurrency=MAX_CONNECTIONS, timeout_keep_alive=KEEP_ALIVE, backlog=BACKLOG,
        timeout_graceful_shutdown=int(service.options.deadline) + 1,
    )  # fmt: skip
    server, stop = _Server(config), asyncio.Event()
    logger = logging.getLogger("uvicorn.error")  # it would print text from strangers
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    _set_on_signal(stop)
    task = asyncio.create_task(server.serve([listening]))
    ended = asyncio.create_task(stop.wait())
    await asyncio.wait((task, ended), return_when=asyncio.FIRST_COMPLETED)
    service.is_draining = True  # new requests are refused from now on
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(service.options.deadline):
            while service.in_flight:
                await asyncio.sleep(0.02)
    server.should_exit = True
    await task
    ended.cancel()
    await asyncio.get_running_loop().run_in_executor(None, service.models.close, 1.0)
    service.decoder.close()


def _set_on_signal(stop: asyncio.Event) -> None:
    """Set an event at the first signal; a second one goes to the previous handlers."""
    loop, handlers = asyncio.get_running_loop(), {number: signal.getsignal(number) for number in STOPS}
    handlers = {number: handler for number, handler in handlers.items() if handler != signal.SIG_IGN}  # as by nohup
    wakeup = signal.set_wakeup_fd(-1)

    def answer() -> None:
        stop.set()
        for number, handler in handlers.items():
            with contextlib.suppress(NotImplementedError):
                loop.remove_signal_handler(number)
            signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)

    for number in handlers:
        try:
            loop.add_signal_handler(number, answer)
        except NotImplementedError:  # by Windows's event loop
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(answer))


def _allow_many_connections() -> None:
    """Raise this process's limit of open files to the maximum, because each connection is one."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows has no such limit
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
