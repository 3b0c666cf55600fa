"""The labels of an image that may have any number of them."""

from __future__ import annotations

from collections.abc import Sequence

HALF = 0.5  # share, or probability if nothing else is known, from which an image has a class
NO_LABEL = "none"  # what an image without any label is called


def joined(labels: Sequence[str]) -> str:
    """Return the names of several labels as text, "none" without one.

    >>> joined(["cat", "dog"])
    'cat; dog'
    """
    return "; ".join(labels) or NO_LABEL
