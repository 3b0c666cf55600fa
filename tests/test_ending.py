"""What runs when a process ends where no `finally` does."""

import pytest

from resnext.ending import at_any_end, clean_up

pytestmark = pytest.mark.once


def test_the_newest_first_and_an_error_stops_none():
    called = []

    def fail():
        called.append("fails")
        raise OSError("gone")

    def ends():
        with at_any_end(fail):
            clean_up()
            assert called == ["fails", "first"]

    with at_any_end(lambda: called.append("first")):
        with pytest.raises(OSError, match="gone"):
            ends()
        assert called == ["fails", "first", "fails"]
    clean_up()
    assert called == ["fails", "first", "fails", "first"]
