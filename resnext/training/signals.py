"""Signals that ask a training to stop: it saves itself first, between two steps."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)  # SLURM's warning is SIGUSR1 by custom
GRACE = 8.0  # seconds for the step that is being computed, or compiled


class Stopped(KeyboardInterrupt):
    """A training was asked to stop, and is saved. It is no error: `except Exception` must not catch it.

    Args:
        message: by which signal, after which step.
        exit_code: 128 + SIGTERM, by which schedulers know that it may be tried again, or 128 + SIGINT.
    """

    def __init__(self, message: str, exit_code: int = 128 + signal.SIGTERM):
        super().__init__(message)
        self.exit_code = exit_code


class StopRequest:
    """Whether a stop was asked for, and by which signal."""

    def __init__(self):
        self.number = 0
        self.noticed = threading.Event()

    def asked(self, all_max: Callable[[int], int] = lambda number: number) -> Stopped | None:
        """Return what to raise if a stop was asked for.

        Args:
            all_max: highest number over all processes: one that is asked to stop stops all, after the same step.
        """
        number = all_max(self.number)
        if not number:
            return None
        self.noticed.set()
        return Stopped(f"stopped by {signal.Signals(number).name}", _exit_code(number))

    def check(self, all_max: Callable[[int], int] = lambda number: number) -> None:
        """Raise Stopped if a stop was asked for."""
        if stopped := self.asked(all_max):
            raise stopped

    def _ask(self, number: int, frame) -> None:
        if self.number:  # asked twice: at once
            os._exit(_exit_code(number))
        self.number = number

    def _watch(self, pipe: int, grace: float) -> None:
        """End the process if nobody notices: a thread gets to run while XLA compiles for a minute."""
        with os.fdopen(pipe, "rb", buffering=0) as signals:
            while number := signals.read(1):
                if number[0] in SIGNALS and not self.noticed.wait(grace):
                    os.write(
                        2, b"resnext: stopped in the middle of a step; --resume continues from the last checkpoint\n"
                    )
                    os._exit(_exit_code(number[0]))


def _exit_code(number: int) -> int:
    return 128 + (signal.SIGINT if number == signal.SIGINT else signal.SIGTERM)


@contextlib.contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Treat SIGTERM, SIGINT and SIGUSR1 as requests to stop; a second one ends the process at once.

    Do nothing outside the main thread, the only one that receives signals.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    handlers = {number: signal.signal(number, request._ask) for number in SIGNALS}
    before = signal.set_wakeup_fd(writes)
    threading.Thread(target=request._watch, args=(reads, GRACE), daemon=True).start()
    try:
        yield request
    finally:
        request.noticed.set()
        signal.set_wakeup_fd(before)
        os.close(writes)
        for number, handler in handlers.items():
            signal.signal(number, handler)
