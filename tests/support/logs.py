"""What is logged."""

import re
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def logged(caplog, pattern: str) -> Iterator[None]:
    """The block logs a warning that the pattern describes."""
    caplog.clear()
    yield
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert any(re.search(pattern, message) for message in warnings), warnings
