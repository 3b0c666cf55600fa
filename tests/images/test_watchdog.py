"""The watchdog of files: a file that never comes is an error in Python."""

import threading
import time
from types import SimpleNamespace

import pytest

from resnext.errors import ImageError, StalledFileError
from resnext.images.decode import read_image
from resnext.images.watchdog import watch_files
from resnext.training.signals import stop_on_signals


@pytest.mark.once
def test_a_library_gives_up_by_an_error():
    """It is raised in the main thread, whatever that waits for."""

    class Hanging:
        def __str__(self):
            return "photos/slow.png"

        def open(self):
            time.sleep(3600)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("resnext.images.watchdog.NAMED_AFTER", 0.1)
        patch.setattr("resnext.images.watchdog.GIVEN_UP_AFTER", 0.3)
        with (
            pytest.raises(StalledFileError, match=r"^giving up on photos/slow\.png: no data for 0 s$"),
            stop_on_signals() as stop,
            watch_files(stop.fail),
        ):
            read_image(Hanging())


def refused(source):
    with pytest.raises(ImageError):
        read_image(source)


@pytest.mark.once
def test_time_in_which_the_process_is_stopped_does_not_count(monkeypatch):
    """After Ctrl-Z and `fg`, a file that was being read has not been waited for."""
    finished, stopped, given_up = threading.Event(), [0.0], []

    class Slow:
        def __str__(self):
            return "photos/slow.png"

        def open(self):
            finished.wait(10)
            raise OSError

    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + stopped[0])
    monkeypatch.setattr("resnext.images.watchdog.time", clock)
    monkeypatch.setattr("resnext.images.watchdog.NAMED_AFTER", 0.05)
    monkeypatch.setattr("resnext.images.watchdog.GIVEN_UP_AFTER", 100.0)
    with watch_files(given_up.append):
        thread = threading.Thread(target=refused, args=[Slow()])
        thread.start()
        time.sleep(0.2)
        stopped[0] = 400.0
        time.sleep(0.2)
        finished.set()
        thread.join()
    assert given_up == []
