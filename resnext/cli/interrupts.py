"""Ctrl-C and schedulers' stops: a line at once, and an end within seconds, whatever the process is doing."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from typing import NoReturn

from resnext.ending import clean_up
from resnext.errors import visible
from resnext.training.signals import SIGNALS, StopRequest, active_request, exit_code, stopped_by

SOON = 0.7  # seconds in which a command may end by itself
GRACE = 8.0  # seconds for the step of a training that is being computed, or compiled


def _show_unraisable(unraisable) -> None:
    """Do not report an interrupt in a callback, such as JAX's at garbage collection, where it is lost."""
    if not issubclass(unraisable.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)


def leave_threads() -> NoReturn:
    """End the process after a successful command, without waiting for threads whose results nobody needs."""
    _flush()
    os._exit(0)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()


class Interrupts:
    """Watches the signals of a process from a thread, which runs even while XLA compiles for a minute.

    The main thread receives them as well, when Python delivers them: between two instructions, or after the
    compilation. A library must leave it at that; a command ends the process if that takes too long.
    """

    def __init__(self):
        self.number = 0  # the signal received outside a training
        self.ending = threading.Lock()  # acquired by the thread that ends the process
        self.stderr = os.dup(2)  # standard error itself is silent while a backend is imported
        sys.unraisablehook = _show_unraisable
        reads, self.writes = socket.socketpair()  # a pipe can't be non-blocking on Windows
        self.writes.setblocking(False)
        signal.set_wakeup_fd(self.writes.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._watch, args=(reads,), daemon=True).start()
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) != signal.SIG_IGN:  # as a shell arranges for background jobs
                signal.signal(number, self._interrupt)

    def _interrupt(self, number: int, frame) -> NoReturn:
        self.number = number
        raise KeyboardInterrupt if number == signal.SIGINT else stopped_by(number)

    def _watch(self, signals: socket.socket) -> None:
        with signals:
            is_repeated = False
            while number := signals.recv(1):
                if number[0] in SIGNALS:
                    threading.Thread(target=self._answer, args=(number[0], is_repeated), daemon=True).start()
                    is_repeated = True

    def _answer(self, number: int, again: bool) -> None:
        request = active_request()
        if request and request.failure:
            request.noticed.wait(GRACE)
            again = True
        if again or request is None or (number == signal.SIGINT and not request.is_answered):
            time.sleep(SOON)
            self._end(number, request)
        else:
            if number == signal.SIGINT and not self.ending.locked():
                self._print("stopping after this step; press Ctrl-C again to stop at once")
            if not request.noticed.wait(GRACE):
                self._end(number, request)

    def _end(self, number: int, request: StopRequest | None) -> None:
        """End the process unless the main thread does; leave no folder without a checkpoint."""
        if not self.ending.acquire(blocking=False):
            return
        ended = request.given_up(number) if request else KeyboardInterrupt("interrupted")
        clean_up()
        self._print(str(ended))
        os._exit(getattr(ended, "exit_code", exit_code(number)))

    def leave(self, status: int, line: str) -> NoReturn:
        """End the process with a line on standard error.

        This does not use sys.exit: the threads that make batches can crash an interpreter that is shutting down.
        """
        self.ending.acquire()
        _flush()
        self._print(line)
        os._exit(status)

    def _print(self, line: str) -> None:
        """Print to standard error, even while another thread holds the stream; restore a terminal's cursor."""
        cursor = "\r\x1b[?25h\x1b[K" if os.isatty(self.stderr) else ""
        with contextlib.suppress(OSError):
            os.write(self.stderr, f"{cursor}resnext: {visible(line)}\n".encode(errors="backslashreplace"))
