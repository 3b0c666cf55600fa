"""Whether a network has seen the images on which it is evaluated."""

from __future__ import annotations

from typing import NamedTuple

from resnext.data.copies import sha256_of_images
from resnext.data.examples import Examples
from resnext.inference.model import Model
from resnext.metrics.remarks import CHOSEN_ON, trained_on
from resnext.runs.run import WEIGHTS


class SeenImages(NamedTuple):
    """What a run did with the images on which it is evaluated, found by their content.

    `chosen_on` is whether some of them chose the epoch of the weights; `trained_on` is how many it was trained on.
    """

    images: int
    chosen_on: bool
    trained_on: int

    @property
    def remarks(self) -> list[str]:
        """What must stand beside the numbers."""
        lines = [trained_on(self.trained_on, self.images)] if self.trained_on else []
        return lines + ([CHOSEN_ON] if self.chosen_on else [])


def seen_images(model: Model, examples: Examples) -> SeenImages | None:
    """Return what a run has seen of the images; None for a model that is not a run.

    Of a run of an earlier version, which kept no hashes, the images that it held out are recognised by their paths.

    Raises:
        RunError: its record is damaged.
        DataError: an image can't be read.
    """
    if model.run is None:
        return None
    record, hashes = model.run.images, sha256_of_images(examples.images)
    trained = {value for value in (*record.trained, *record.before) if value}
    count = sum(value in trained for value in hashes)
    if model.source.name != WEIGHTS["best"]:
        return SeenImages(len(examples), False, count)
    if not record.validation:
        held_out = tuple(f"/{path}" for path in model.run.held_out)
        return SeenImages(len(examples), any(str(image).endswith(held_out) for image in examples.images), count)
    return SeenImages(len(examples), not {*record.validation}.isdisjoint(hashes), count)
