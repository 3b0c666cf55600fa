"""The command line with a fault in it: python tests/support/faults.py FUNCTION N FAULT resnext-arguments...

At the N-th call of the function, such as `os:fsync` or `resnext.engines.keras_engine:KerasEngine.arrays`, the process
gets a signal, hangs, or meets a full disk or memory; from there on, if N ends in "+".
"""

import errno
import importlib
import os
import signal
import sys
import time


def happen(fault: str) -> None:
    if fault == "full":
        raise OSError(errno.ENOSPC, "No space left on device")
    if fault == "memory":
        raise MemoryError
    if fault == "hang":
        time.sleep(3600)
    if fault == "deaf":  # in compiled code: Python's handlers have to wait
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.Signals)
        time.sleep(3600)
    os.kill(os.getpid(), getattr(signal, fault))


def break_it(place: str, number: str, fault: str) -> None:
    module, path = place.split(":")
    *owners, name = path.split(".")
    owner = importlib.import_module(module)
    for part in owners:
        owner = getattr(owner, part)
    real, calls, first = getattr(owner, name), 0, int(number.rstrip("+"))

    def broken(*arguments, **named):
        nonlocal calls
        calls += 1
        if calls == first or (number.endswith("+") and calls > first):
            happen(fault)
        return real(*arguments, **named)

    setattr(owner, name, broken)


def main() -> None:
    place, number, fault, *arguments = sys.argv[1:]
    sys.argv = ["resnext", *arguments]
    if place.startswith(("os:", "resnext.exporting.", "resnext.engines.", "resnext.serving.")):
        break_it(place, number, fault)
    else:  # Keras must not be imported before the command line has chosen its backend
        train = importlib.import_module("resnext.training.train")
        initialize = train.initialize

        def broken_initialize():
            cluster = initialize()  # it imports Keras
            break_it(place, number, fault)
            return cluster

        train.initialize = broken_initialize
    importlib.import_module("resnext.cli.main").main()


if __name__ == "__main__":
    main()
