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
    """A training was asked to stop, and is saved."""

    exit_code = 143  # 128 + SIGTERM, by which schedulers know that it may be tried again


class StopRequest:
    """Whether a stop was asked for, and by which signal.

    `agree` gives the highest number of all processes: one that is asked to stop stops all, after the same step.
    """

    def __init__(self):
        self.number = 0
        self.agree: Callable[[int], int] = lambda number: number
        self.noticed = threading.Event()

    def asked(self) -> Stopped | None:
        """What to raise if it was."""
        number = self.agree(self.number)
        if not number:
            return None
        self.noticed.set()
        stopped = Stopped(f"stopped by {signal.Signals(number).name}")
        stopped.exit_code = _exit_code(number)
        return stopped

    def check(self) -> None:
        """Raise Stopped if it was."""
        if stopped := self.asked():
            raise stopped

    def _ask(self, number: int, frame) -> None:
        if self.number:  # asked twice: at once
            os._exit(_exit_code(number))
        self.number = number

    def _watch(self, pipe: int, grace: float) -> None:
        """Ends the process where nobody notices: a thread gets to run while XLA compiles for a minute."""
        with os.fdopen(pipe, "rb", buffering=0) as signals:
            while number := signals.read(1):
                if number[0] in SIGNALS and not self.noticed.wait(grace):
                    os.write(
                        2, b"resnext: stopped in the middle of a step; --resume goes on from the last checkpoint\n"
                    )
                    os._exit(_exit_code(number[0]))


def _exit_code(number: int) -> int:
    return 128 + signal.SIGINT if number == signal.SIGINT else Stopped.exit_code


@contextlib.contextmanager
def stop_on_signals(grace: float = GRACE) -> Iterator[StopRequest]:
    """Inside the block SIGTERM, SIGINT and SIGUSR1 only ask; a second one ends the process at once.

    In another thread than the main one, which alone gets signals, nothing changes.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    handlers = {number: signal.signal(number, request._ask) for number in SIGNALS}
    before = signal.set_wakeup_fd(writes)
    threading.Thread(target=request._watch, args=(reads, grace), daemon=True).start()
    try:
        yield request
    finally:
        request.noticed.set()
        signal.set_wakeup_fd(before)
        os.close(writes)
        for number, handler in handlers.items():
            signal.signal(number, handler)
