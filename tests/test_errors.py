"""Errors have one parent, and one file."""

import re

import pytest

from resnext import errors
from support.places import REPOSITORY


@pytest.mark.once
def test_every_error_has_the_parent():
    defined_here = [kind for kind in vars(errors).values() if getattr(kind, "__module__", None) == errors.__name__]
    kinds = [kind for kind in defined_here if isinstance(kind, type) and kind is not errors.ResNeXtError]
    assert len(kinds) > 10
    for kind in kinds:
        assert issubclass(kind, errors.ResNeXtError)
        assert kind.__doc__
        assert issubclass(kind, ValueError | RuntimeError | ImportError)
    for path in (REPOSITORY / "resnext").rglob("*.py"):  # there are no others; Stopped is no error
        defined = re.findall(r"(?m)^class \w+\(.*(?:Error|Exception)\):", path.read_text())
        assert not defined or path.name == "errors.py", path
