"""Published errors have a source."""

import pytest

from resnext.variants.published import PUBLISHED

pytestmark = pytest.mark.once


def test_published_errors_have_a_source():
    for errors in PUBLISHED.values():
        for error in errors:
            assert error.source
            assert 0 < (error.top5 or 1) < error.top1 < 100
