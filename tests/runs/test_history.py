"""The history of a run: its rows, its records and its temperatures."""

import csv

import pytest

from resnext import evaluate
from resnext.runs.run import Run
from support.runs import records_of

pytestmark = pytest.mark.once


def test_temperature_of_an_epoch_is_that_of_its_validation_images(run):
    last = Run.open(run).history.last
    given = evaluate(run, Run.open(run).config.data, weights="last")
    assert given.temperature != 1
    assert last.temperature == pytest.approx(given.temperature, rel=1e-3)


def test_records_are_the_rows_with_the_time(run):
    records = records_of(run)
    with (run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    for record, row in zip(records, rows, strict=True):
        assert {name: float(value) for name, value in row.items()} == {name: record[name] for name in row}
        assert record.keys() - row.keys() == {"seconds", "images_per_second", "weights_sha256"}
        assert record["seconds"] > 0
