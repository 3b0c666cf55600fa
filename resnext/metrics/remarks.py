"""Remarks beside an accuracy: what it is worth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from resnext.metrics.several import AnyEvaluation, LabelsEvaluation

CHOSEN_ON = "these images also chose the epoch, so the numbers are a little too good"
FITTED_ON = "these images also chose the epoch or the thresholds, so the numbers are a little too good"
ON_THE_SAME = "on the images that chose it"
IMBALANCED = 3  # times as many images of one class as of another


def sentence(remark: str) -> str:
    """Return a remark as a sentence of a page.

    >>> sentence("these images also chose the epoch")
    'These images also chose the epoch.'
    """
    return f"{remark[0].upper()}{remark[1:]}."


def trained_on(count: int, images: int) -> str:
    """Return a remark on images that the network was trained on."""
    some = "all" if count == images else f"{count:,}"
    return f"it was trained on {some} of these {images:,} images, so the numbers are too good"


def always(evaluation: AnyEvaluation) -> str:
    """Return the accuracy of always answering the largest class, or the mAP of a random order, in words.

    >>> from resnext.metrics.evaluation import Evaluation
    >>> evaluation = Evaluation.of(("a", "b"), np.array([0, 0, 1]), [np.log(np.full((3, 2), 0.5))])
    >>> always(evaluation)
    "always answering 'a', the largest class, would score 66.67 %"
    """
    if isinstance(evaluation, LabelsEvaluation):
        return f"a random order would score {100 * evaluation.baseline:.2f} % mAP"
    name, share = evaluation.baseline
    return f"always answering {name!r}, the largest class, would score {100 * share:.2f} %"


def imbalance(classes: Sequence[str], counts: np.ndarray) -> str | None:
    """Return a remark on classes of very different numbers of images, or None.

    >>> imbalance(("a", "b", "c"), np.array([92, 19, 19]))
    "imbalance: 92 images of 'a', 19 of 'b', 4.8 times fewer"
    """
    most, least = int(counts.argmax()), int(np.where(counts > 0, counts, counts.max()).argmin())
    ratio = counts[most] / counts[least]
    if ratio < IMBALANCED:
        return None
    return (
        f"imbalance: {counts[most]:,} images of {classes[most]!r}, {counts[least]:,} of {classes[least]!r}, "
        f"{ratio:.1f} times fewer"
    )
