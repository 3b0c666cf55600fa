"""The record of a run's images, `images.json`: which it was trained on, and on which it was evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from resnext.checksums import SHA256, with_sha256, without_sha256
from resnext.runs.config import as_list

OTHERS = ("validation", "test", "before")


@dataclass(frozen=True)
class ImageRecord:
    """The SHA-256 of the images of a run, in hexadecimal.

    Args:
        trained: of the training images in their order; None for one that was not read yet.
        validation: of the images that choose the epoch.
        test: of the images to test on; empty if they are the same.
        before: of the images that the weights it started from were trained on, sorted.
    """

    trained: tuple[str | None, ...] = ()
    validation: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    before: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the document of `images.json`."""
        rest = {"validation": [*self.validation], "test": [*self.test], "before": [*self.before]}
        return with_sha256({"images": [*self.trained], **rest})

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ImageRecord:
        """Return the record of a document. Raises ValueError, TypeError or KeyError if it is damaged."""
        if SHA256 not in document:
            raise ValueError("it has no checksum")
        rest = without_sha256(document)
        trained, others = as_list(rest["images"]), [as_list(rest.get(name, [])) for name in OTHERS]
        if not all(value is None or isinstance(value, str) for value in trained) or not all(
            isinstance(value, str) for values in others for value in values
        ):
            raise ValueError("not a list of hashes")
        return cls(tuple(trained), *map(tuple, others))
