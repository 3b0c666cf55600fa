"""Labels that are passed from Python: numbers or names, lists of them, or shares of the classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from resnext.data.class_folders import labels_of
from resnext.data.examples import Examples, of_shares
from resnext.data.labels.class_columns import CLOSE
from resnext.errors import DataError


def examples_of_labels(images: Any, labels: Any, classes: Sequence[str] | None = None) -> Examples:
    """Return examples of images and their labels.

    Args:
        images: files, array or `Pixels`.
        labels: class of each image, a number or a name; a list of several for each image; or an array (images, classes)
            of 0 and 1, or of shares that sum to 1.
        classes: names of the classes, which numbers index; None: the labels name them.

    Raises:
        DataError: labels of other kinds, or outside of the classes.

    >>> examples_of_labels(["a.jpg", "b.jpg"], ["dog", "cat"]).labels.tolist()
    [1, 0]
    """
    rows: list[Any] = [_plain(label) for label in labels]
    for number, row in enumerate(rows):
        if row is None or (isinstance(row, float) and np.isnan(row)):
            raise DataError(f"image {number} has no label: {row}")
    if all(isinstance(row, float) and row.is_integer() for row in rows):
        rows = [int(row) for row in rows]
    if isinstance(labels, np.ndarray) and labels.ndim == 2 and labels.shape[1] == 1:
        rows = [row[0] for row in rows]
    elif isinstance(labels, np.ndarray) and labels.ndim == 2:
        return _of_columns(images, np.asarray(labels, np.float32), classes)
    is_list = [isinstance(row, list | tuple) for row in rows]
    if any(is_list) != all(is_list):
        raise DataError("labels must be all single, or all lists of labels")
    each = [[*row] if isinstance(row, list | tuple) else [row] for row in rows]
    flat = [label for row in each for label in row]
    names = tuple(classes) if classes is not None else _names(flat)
    indices = _indices(flat, names, has_names=classes is not None)
    if not is_list or not is_list[0]:
        return Examples(images, indices, names)
    shares = np.zeros((len(rows), len(names)), np.float32)
    shares[np.repeat(np.arange(len(rows)), [len(row) for row in each]), indices] = 1
    return of_shares(images, shares, names, several=True)


def _plain(label: Any) -> Any:
    """Return a label as Python's own int, str or list, whatever array or scalar it is."""
    label = label.numpy() if hasattr(label, "numpy") else label
    value = label.tolist() if hasattr(label, "tolist") else label
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _names(labels: Sequence[Any]) -> tuple[str, ...]:
    """Return the classes that labels name: numbers in their order, names in theirs."""
    if all(_is_number(label) for label in labels):
        return tuple(str(number) for number in sorted({*labels}))
    return tuple(sorted({_name(label) for label in labels}))


def _indices(labels: Sequence[Any], names: Sequence[str], has_names: bool) -> np.ndarray:
    """Return the index of each label in the names, int32."""
    if has_names and all(_is_number(label) for label in labels):
        if wrong := next((label for label in labels if not 0 <= label < len(names)), None):
            raise DataError(f"the label {wrong} is outside of the {len(names):,} classes, which count from 0")
        return np.array(labels, np.int32)
    return labels_of([_name(label) for label in labels], names, "the labels")


def _is_number(label: Any) -> bool:
    return isinstance(label, int) and not isinstance(label, bool)


def _name(label: Any) -> str:
    if isinstance(label, bool) or not isinstance(label, int | str) or label == "":
        raise DataError(f"a label must be a whole number or a name. Received: {label!r}")
    return str(label)


def _of_columns(images: Any, shares: np.ndarray, classes: Sequence[str] | None) -> Examples:
    """Return examples of an array (images, classes): one label if each row has exactly one 1, shares, or several."""
    names = tuple(classes) if classes is not None else tuple(map(str, range(shares.shape[1])))
    if len(names) != shares.shape[1]:
        raise DataError(f"the labels have {shares.shape[1]} columns for {len(names):,} classes")
    if not ((shares >= 0) & (shares <= 1)).all():
        raise DataError("labels in columns must be 0 or 1, or shares from 0 to 1 that sum to 1 for each image")
    sums_to_one, are_flags = np.abs(shares.sum(axis=1) - 1).max() <= CLOSE, np.isin(shares, (0, 1)).all()
    if sums_to_one and are_flags:
        return Examples(images, shares.argmax(axis=1).astype(np.int32), names)
    if not sums_to_one and not are_flags:
        raise DataError("labels in columns must be 0 or 1, or shares from 0 to 1 that sum to 1 for each image")
    return of_shares(images, shares, names, several=not sums_to_one)
