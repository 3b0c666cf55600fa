"""The watchdog of files: a file that never comes is an error in Python."""

import time

import pytest

from resnext.errors import StalledFileError
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
