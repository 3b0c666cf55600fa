"""Whether a network has seen the images on which it is evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from resnext.data.copies import sha256_of_images
from resnext.data.examples import Examples
from resnext.inference.model import Model
from resnext.metrics.remarks import CHOSEN_ON, FITTED_ON, trained_on
from resnext.runs.run import WEIGHTS, Run


class SeenImages(NamedTuple):
    """What a run, or several that are averaged, did with the images on which it is evaluated, found by their content.

    `chosen_on` is whether some of them chose the epoch of the weights or, if `several`, the thresholds of labels;
    `trained_on` is how many it was trained on.
    """

    images: int
    chosen_on: bool
    trained_on: int
    several: bool = False

    @property
    def remarks(self) -> list[str]:
        """What must stand beside the numbers."""
        lines = [trained_on(self.trained_on, self.images)] if self.trained_on else []
        return lines + ([FITTED_ON if self.several else CHOSEN_ON] if self.chosen_on else [])


def seen_images(model: Model, examples: Examples) -> SeenImages | None:
    """Return what a run, or any of several, has seen of the images; None for a model that is not a run.

    Of a run of an earlier version, which kept no hashes, the images that it held out are recognised by their paths.

    Raises:
        RunError: its record is damaged.
        DataError: an image can't be read.
    """
    if not model.runs:
        return None
    hashes = sha256_of_images(examples.images)
    trained = frozenset().union(*(run.seen.trained for run in model.runs))
    chosen_on = any(_chosen_on(each, each.run, examples, hashes) for each in model.singles if each.run)
    return SeenImages(len(examples), chosen_on, sum(value in trained for value in hashes), model.several)


def _chosen_on(model: Model, run: Run, examples: Examples, hashes: Sequence[str]) -> bool:
    if model.source.name != WEIGHTS["best"] and not model.several:
        return False
    validation = run.images.validation
    if not validation:
        held_out = tuple(f"/{path}" for path in run.held_out)
        return any(str(image).endswith(held_out) for image in examples.images)
    return not {*validation}.isdisjoint(hashes)
