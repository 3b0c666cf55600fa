"""Signals that ask a training to stop: it first saves itself, between two steps."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

from resnext.errors import ResNeXtError

# SLURM's warning is SIGUSR1 by custom; SIGHUP comes when a terminal closes.
# Windows has neither, but SIGBREAK.
NAMES = ("SIGTERM", "SIGINT", "SIGUSR1", "SIGHUP", "SIGBREAK")
SIGNALS: tuple[int, ...] = tuple(getattr(signal, name) for name in NAMES if hasattr(signal, name))
_active: list[StopRequest] = []  # of this process's training


class Stopped(KeyboardInterrupt):
    """A training was asked to stop and is saved. This is not an error: `except Exception` must not catch it.

    Args:
        message: the signal, and the step after which it stopped.
        exit_code: 128 + SIGTERM, which tells schedulers that it may be tried again, or 128 + SIGINT.
    """

    def __init__(self, message: str, exit_code: int = 128 + signal.SIGTERM):
        super().__init__(message)
        self.exit_code = exit_code


class StopRequest:
    """Whether a stop was requested, and by which signal.

    The training calls `stop_requested` between two steps. An interrupt before the first of these calls, and a second
    signal, are raised when they come: there is nothing to save yet, or the user does not want to wait.
    """

    def __init__(self):
        self.number = 0
        self.is_answered = False  # whether steps are running, between which the training asks
        self.noticed = threading.Event()
        self.handlers: dict[int, Any] = {}  # the previous handlers of the caught signals
        self.raised: Stopped | None = None
        self.outcome: Callable[[], str] = lambda: "; nothing was saved"  # where it stopped and what to do next
        self.failure: ResNeXtError | None = None  # an error that occurred while the training waits

    def stop_requested(self, all_max: Callable[[int], int] = lambda number: number) -> Stopped | None:
        """Return the exception to raise if a stop was requested.

        Args:
            all_max: function that returns the highest number over all processes: if one is asked to stop, all stop
                after the same step.

        Raises:
            ResNeXtError: the training has failed meanwhile.
        """
        self.is_answered = True
        if self.failure:
            raise self.failure
        if self.raised:  # it was caught on its way, as imports of large packages do
            return self.raised
        number = all_max(self.number)
        if not number:
            return None
        self.noticed.set()
        return stopped_by(number)

    def check(self, all_max: Callable[[int], int] = lambda number: number) -> None:
        """Raise Stopped if a stop was requested."""
        if stopped := self.stop_requested(all_max):
            raise stopped

    def fail(self, error: ResNeXtError) -> None:
        """End the training with an error from another thread: the main thread may be waiting forever.

        A training outside the main thread, which receives no signals, continues to wait.
        """
        self.failure = error
        if self.handlers:
            os.kill(os.getpid(), next(iter(self.handlers)))

    def described(self, stopped: Stopped) -> Stopped:
        """Return the exception with the outcome of the training added."""
        return Stopped(f"{stopped}{self.outcome()}", stopped.exit_code)

    def given_up(self, number: int) -> BaseException:
        """Return the exception of a training that a process ends without waiting for it, because of a signal."""
        if self.failure:
            return self.failure
        self.raised = stopped_by(number)
        return self.described(self.raised)

    def _ask(self, number: int, frame) -> None:
        if self.failure:
            self.noticed.set()
            raise self.failure
        if self.number or (number == signal.SIGINT and not self.is_answered):
            self.noticed.set()
            self.raised = stopped_by(number)
            raise self.raised
        self.number = number


def active_request() -> StopRequest | None:
    """Return the request that signals currently set; None if no training is running."""
    return _active[-1] if _active else None


def exit_code(number: int) -> int:
    """Return the status of a process that a signal ends: 130 for an interrupt, 143 for all that schedulers send."""
    return 128 + (signal.SIGINT if number == signal.SIGINT else signal.SIGTERM)


@contextlib.contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Treat SIGTERM, SIGINT, SIGUSR1 and SIGHUP as requests to stop; raise a second one immediately.

    A signal that the process ignores, as under `nohup`, stays ignored. Outside the main thread, which alone receives
    signals, this does nothing.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    handled = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    request.handlers = {number: signal.signal(number, request._ask) for number in handled}
    _active.append(request)
    try:
        yield request
    except Stopped as stopped:
        raise request.described(stopped) from stopped
    except Exception as error:
        if request.failure:  # a backend may turn an interrupt into its own error
            raise request.failure from error
        if request.raised:
            raise request.described(request.raised) from error
        raise
    finally:
        request.noticed.set()
        _active.remove(request)
        while request.handlers:
            signal.signal(*request.handlers.popitem())


def stopped_by(number: int) -> Stopped:
    """Return the exception to raise for a signal."""
    return Stopped(f"stopped by {signal.Signals(number).name}", exit_code(number))
