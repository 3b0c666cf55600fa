"""The results of a training's epochs: the rows of `metrics.csv` and `metrics.jsonl`."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from resnext.checksums import with_crc32, without_crc32

TIMES = ("seconds", "images_per_second")  # never the same twice, so not in metrics.csv
SHA256 = "weights_sha256"


class EpochRow(NamedTuple):
    """An evaluated epoch: losses in nats, accuracies as shares.

    Training loss and accuracy, time and the highest learning rate cover all epochs since the previous row.
    """

    epoch: int
    learning_rate: float
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    seconds: float
    images_per_second: float
    temperature: float = 1.0  # calibrates the probabilities of the validation images; 1 in rows of older runs
    weights_sha256: str | None = None  # checksum in the file of its weights; None in rows of older runs

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> EpochRow:
        """Return the row of a line of `metrics.jsonl`. Raises ValueError or TypeError if it is damaged."""
        row = cls(**without_crc32(document))
        if any(isinstance(value, bool) or not isinstance(value, int | float) for value in row.numbers().values()):
            raise ValueError("a row must contain only numbers, and a checksum")
        return row

    def numbers(self) -> dict[str, int | float]:
        """Return the row without the checksum of its weights."""
        return {name: value for name, value in self._asdict().items() if name != SHA256}


@dataclass(frozen=True)
class History:
    """The rows of the evaluated epochs, in order.

    >>> rows = [EpochRow(epoch, 0.1, 1.0, 0.5, 1.0, accuracy, 1.0, 10.0) for epoch, accuracy in ((1, 0.7), (2, 0.6))]
    >>> History(rows).best.epoch
    1
    """

    rows: tuple[EpochRow, ...] = ()

    def __init__(self, rows: Iterable[EpochRow] = ()):
        object.__setattr__(self, "rows", tuple(rows))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def epochs(self) -> int:
        """The number of epochs done, up to the last evaluated one."""
        return self.rows[-1].epoch if self.rows else 0

    @property
    def best(self) -> EpochRow:
        """The first row with the highest validation accuracy."""
        return max(self.rows, key=lambda row: row.validation_accuracy)

    @property
    def before(self) -> History:
        """The history without its newest row."""
        return History(self.rows[:-1])

    @property
    def last(self) -> EpochRow:
        """The newest row."""
        return self.rows[-1]

    @property
    def seconds(self) -> float:
        """Time of all epochs together."""
        return sum(row.seconds for row in self.rows)

    def with_row(self, row: EpochRow) -> History:
        """Return this history with one more row."""
        return History((*self.rows, row))

    def to_csv(self) -> str:
        """Return `metrics.csv`: the same text for the same training, and therefore without times."""
        text = io.StringIO()
        names = [name for name in EpochRow._fields if name not in (*TIMES, SHA256)]
        writer = csv.DictWriter(text, names, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(row._asdict() for row in self.rows)
        return text.getvalue()

    def to_jsonl(self) -> str:
        """Return `metrics.jsonl`: one line for each row, times included."""
        return "".join(json.dumps(with_crc32(row._asdict())) + "\n" for row in self.rows)
