"""Some classes of a data set, in a chosen order."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from resnext.data.examples import Examples, of_shares
from resnext.data.folders import composed
from resnext.data.splits import Splits
from resnext.errors import DataError, did_you_mean, listed, printable


def of_classes(examples: Examples, classes: Sequence[str], where: object) -> tuple[Examples, list[int]]:
    """Return the images of some classes, labelled in their order, and the indices of these images.

    Args:
        examples: images of all classes.
        classes: names to keep, in any Unicode normal form.
        where: name of the data, for the message.

    Raises:
        DataError: the data does not have one of the classes.
    """
    places = {composed(name): label for label, name in enumerate(examples.classes)}
    unknown = [name for name in classes if composed(name) not in places]
    if unknown:
        hint = did_you_mean(unknown[0], list(examples.classes))
        raise DataError(
            f"{printable(where)} has no class {unknown[0]!r}.{hint} --classes must be among {listed(examples.classes)}"
        )
    columns = [places[composed(name)] for name in classes]
    names = tuple(examples.classes[place] for place in columns)
    if examples.several and examples.shares is not None:  # an image without any of them has none
        some = of_shares(examples.images, examples.shares[:, columns], names, several=True)
        return dataclasses.replace(some, weights=examples.weights), [*range(len(examples))]
    labels = np.full(len(examples.classes), -1, np.int32)
    labels[columns] = np.arange(len(classes))
    kept: list[int] = np.flatnonzero(labels[examples.labels] >= 0).tolist()
    some = examples.take(kept)
    shares = None if some.shares is None else some.shares[:, columns]
    if shares is not None:
        shares = shares / shares.sum(axis=1, keepdims=True)
    return dataclasses.replace(some, labels=labels[some.labels], classes=names, shares=shares), kept


def splits_of_classes(splits: Splits, classes: Sequence[str], where: object) -> Splits:
    """Return the parts of some classes. Raises DataError as `of_classes`."""
    parts = {part: of_classes(part, classes, where)[0] for part in (splits.train, splits.validation, splits.test)}
    train, validation, test = (parts[part] for part in (splits.train, splits.validation, splits.test))
    return dataclasses.replace(splits, train=train, validation=validation, test=test)
