"""The results of a training's epochs: the rows of `metrics.csv` and `metrics.jsonl`."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from resnext.checksums import with_crc32, without_crc32
from resnext.errors import did_you_mean
from resnext.metrics.names import NAMES
from resnext.recipes.recipe import BestBy

# Beside loss and accuracy.
ROW_METRICS = (
    "macro_f1", "macro_precision", "macro_recall", "balanced_accuracy", "auc", "map", "micro_f1", "exact_match",
)  # fmt: skip
TIMES = ("seconds", "images_per_second")  # never the same twice, so not in metrics.csv
SHA256 = "weights_sha256"
THRESHOLDS = "thresholds"
# The columns of metrics that are not called validation_NAME.
COLUMNS = {"top1": "validation_accuracy", "log_loss": "validation_loss"}


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
    validation_macro_f1: float | None = None  # this and the next three are None in rows of older runs
    validation_macro_precision: float | None = None
    validation_macro_recall: float | None = None
    validation_balanced_accuracy: float | None = None
    validation_auc: float | None = None  # for two classes
    validation_map: float | None = None  # this and the rest for several labels an image
    validation_micro_f1: float | None = None
    validation_exact_match: float | None = None
    thresholds: tuple[float, ...] | None = None  # probabilities from which an image has each class

    def __repr__(self) -> str:
        return f"EpochRow({', '.join(f'{name}={value:.6g}' for name, value in self.numbers().items())})"

    def __getitem__(self, key: Any) -> Any:
        """Return a value by its name, as in `metrics.jsonl`, or by its place."""
        if isinstance(key, str) and key not in self._fields:
            raise KeyError(f"no column {key!r}.{did_you_mean(key, self._fields)}")
        return getattr(self, key) if isinstance(key, str) else tuple.__getitem__(self, key)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> EpochRow:
        """Return the row of a line of `metrics.jsonl`. Raises ValueError or TypeError if it is damaged."""
        row = cls(**without_crc32(document))
        if row.thresholds is not None:
            row = row._replace(thresholds=tuple(map(_share, row.thresholds)))
        if any(isinstance(value, bool) or not isinstance(value, int | float) for value in row.numbers().values()):
            raise ValueError("a row must contain only numbers, and a checksum")
        return row

    def numbers(self) -> dict[str, int | float]:
        """Return the row without its checksum and its thresholds, and without the metrics that it does not have."""
        others = (SHA256, THRESHOLDS)
        return {name: value for name, value in self._asdict().items() if name not in others and value is not None}

    def metric(self, name: BestBy) -> float | None:
        """Return a metric of the validation images, or None if the row does not have it."""
        return getattr(self, COLUMNS.get(name, f"validation_{name}"))


@dataclass(frozen=True, repr=False)
class History(Sequence[EpochRow]):
    """The rows of the evaluated epochs, in order: a sequence, of which `pandas.DataFrame(history)` makes a table.

    >>> rows = [EpochRow(epoch, 0.1, 1.0, 0.5, 1.0, accuracy, 1.0, 10.0) for epoch, accuracy in ((1, 0.7), (2, 0.6))]
    >>> History(rows).best.epoch
    1
    """

    rows: tuple[EpochRow, ...] = ()
    best_by: BestBy = "top1"

    def __init__(self, rows: Iterable[EpochRow] = (), best_by: BestBy = "top1"):
        object.__setattr__(self, "rows", tuple(rows))
        object.__setattr__(self, "best_by", best_by)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        return self.rows[index]

    def __repr__(self) -> str:
        return f"History({self.epochs} epochs, {self.best_in_words})" if self.rows else "History(no epochs)"

    @property
    def epochs(self) -> int:
        """The number of epochs done, up to the last evaluated one."""
        return self.rows[-1].epoch if self.rows else 0

    @property
    def best(self) -> EpochRow:
        """The first row with the best value of the metric; a row that does not have it is the worst."""
        sign = -1 if self.best_by == "log_loss" else 1
        values = [row.metric(self.best_by) for row in self.rows]
        scores = [-math.inf if value is None else sign * value for value in values]
        return self.rows[scores.index(max(scores))]

    @property
    def before(self) -> History:
        """The history without its newest row."""
        return History(self.rows[:-1], self.best_by)

    @property
    def best_in_words(self) -> str:
        """The best row's value of the metric, and its epoch: "best validation top-1 91.67 % (epoch 12)"."""
        return f"best validation {metric_in_words(self.best, self.best_by)} (epoch {self.best.epoch})"

    def without_better(self) -> int:
        """Return the number of evaluations since the best one."""
        return len(self.rows) - 1 - self.rows.index(self.best) if self.rows else 0

    def is_over(self, epochs: int, patience: int | None) -> bool:
        """Return whether a training of that many epochs has ended, the patience included."""
        return self.epochs >= epochs or (patience is not None and self.without_better() >= patience)

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
        return History((*self.rows, row), self.best_by)

    def to_csv(self) -> str:
        """Return `metrics.csv`: the same text for the same training, and therefore without times."""
        text = io.StringIO()
        names = {name for row in self.rows for name in row.numbers()} - {*TIMES}
        names = [name for name in EpochRow._fields if name in names]
        writer = csv.DictWriter(text, names, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(row._asdict() for row in self.rows)
        return text.getvalue()

    def to_jsonl(self) -> str:
        """Return `metrics.jsonl`: one line for each row, times included."""
        rows = [row.numbers() | _thresholds(row) | {SHA256: row.weights_sha256} for row in self.rows]
        return "".join(json.dumps(with_crc32(row)) + "\n" for row in rows)


def _thresholds(row: EpochRow) -> dict[str, tuple[float, ...]]:
    return {} if row.thresholds is None else {THRESHOLDS: row.thresholds}


def _share(value: object) -> float:
    """Return a number from 0 to 1 unchanged. Raises ValueError if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError("thresholds must be numbers from 0 to 1")
    return float(value)


def metric_in_words(row: EpochRow, name: BestBy) -> str:
    """Return the name and the value of a metric of the validation images.

    >>> metric_in_words(EpochRow(1, 0.1, 1.0, 0.5, 1.0, 0.75, 1.0, 10.0), "top1")
    'top-1 75.00 %'
    """
    value = row.metric(name)
    if value is None:
        return f"{NAMES[name]} unknown"
    return f"{NAMES[name]} {value:.4f}" if name == "log_loss" else f"{NAMES[name]} {100 * value:.2f} %"
