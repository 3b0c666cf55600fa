"""The results of a trained network for a stream of images, one after another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Answers(Generic[T], Iterator[T]):
    """An iterator over the results for images, in order.

    Args:
        answers: the results.
        engine: name of the engine that computes them.
        left_out: files in folders and archives that are not images, counted by suffix as they are met.
    """

    def __init__(self, answers: Iterator[T], engine: str, left_out: Counter[str]):
        self._answers, self.engine, self.left_out = answers, engine, left_out

    def __repr__(self) -> str:
        return f"Answers(one for each image, computed by {self.engine} as you iterate)"

    def __next__(self) -> T:
        return next(self._answers)
