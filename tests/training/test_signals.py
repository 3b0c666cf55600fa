"""Requests to stop: what the training is told, and what a handler leaves."""

import os
import signal

import pytest

from resnext.errors import DataError
from resnext.training.signals import SIGNALS, Stopped, active_request, stop_on_signals

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("number", "status"), [(number, 130 if number == signal.SIGINT else 143) for number in SIGNALS]
)
def test_a_signal_between_two_steps_is_a_request(number, status):
    def training():
        with stop_on_signals() as request:
            request.outcome = lambda: "; saved"
            assert not request.stop_requested()
            os.kill(os.getpid(), number)
            assert active_request() is request
            request.check()

    with pytest.raises(Stopped, match=rf"^stopped by {number.name}; saved$") as caught:
        training()
    assert caught.value.exit_code == status
    assert active_request() is None


def test_a_signal_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_on_signals() as request:
            os.kill(os.getpid(), signal.SIGHUP)
            request.check()
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_failure_in_another_thread_replaces_the_error_that_a_backend_makes_of_the_interrupt():
    def training():
        with stop_on_signals() as request:
            request.failure = DataError("no photo")
            raise RuntimeError("interrupted")

    with pytest.raises(DataError, match="no photo"):
        training()


def test_the_stop_of_another_process_is_a_stop():
    with pytest.raises(Stopped, match="stopped by SIGTERM"), stop_on_signals() as request:
        request.check(all_max=lambda number: max(number, signal.SIGTERM))
