"""Metrics against scikit-learn and numbers by hand, intervals, classes and mistakes."""

import numpy as np
import pytest

from resnext.metrics.evaluation import Evaluation
from resnext.metrics.remarks import always, imbalance
from support.evaluations import evaluation, some_evaluation

pytestmark = pytest.mark.once


def test_metrics_are_scikit_learns():
    metrics = pytest.importorskip("sklearn.metrics")
    given, probabilities = some_evaluation()
    predicted = probabilities.argmax(axis=1)
    f1 = metrics.f1_score(given.labels, predicted, average="macro")
    assert given.metrics() == pytest.approx(
        {
            "top1": metrics.accuracy_score(given.labels, predicted),
            "top5": metrics.top_k_accuracy_score(given.labels, probabilities, k=5, labels=range(7)),
            "macro_f1": f1,
            "macro_precision": metrics.precision_score(given.labels, predicted, average="macro", zero_division=0),
            "macro_recall": metrics.recall_score(given.labels, predicted, average="macro", zero_division=0),
            "balanced_accuracy": metrics.recall_score(given.labels, predicted, average="macro", labels=range(6)),
            "log_loss": metrics.log_loss(given.labels, probabilities, labels=range(7)),
            "ece": given.metrics()["ece"],
        },
        abs=1e-6,
    )
    expected = metrics.precision_recall_fscore_support(given.labels, predicted, labels=range(7), zero_division=0)
    rows = [(row.precision, row.recall, row.f1, row.images) for row in given.class_metrics()]
    np.testing.assert_allclose(rows, np.transpose(expected), atol=1e-12)
    assert (given.confusion == metrics.confusion_matrix(given.labels, predicted, labels=range(7))).all()


@pytest.mark.parametrize("sharpness", [1.0, 40.0])
def test_area_under_the_curve_is_scikit_learns(sharpness):
    """Also where float32's probabilities are all 0 or 1; losses below 1e-45 are equal."""
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 300).astype(np.int32)
    odds = sharpness * (rng.normal(size=300) + labels)
    rows = -np.logaddexp(0, np.stack([odds, -odds], axis=1))
    given = Evaluation.of(("a", "b"), labels, [rows.astype(np.float32)])
    assert given.auc == given.metrics()["auc"] == pytest.approx(metrics.roc_auc_score(labels, odds), abs=1e-3)
    low, high = given.intervals(resamples=200)["auc"]
    assert low < given.auc < high
    one_class = Evaluation.of(("a", "b"), np.zeros(4, np.int32), [rows[:4]])
    assert one_class.auc is None
    assert "auc" not in one_class.metrics()
    lone = Evaluation.of(("a", "b"), (np.arange(5) == 0).astype(np.int32), [rows[:5].astype(np.float32)])
    assert len(lone.intervals(resamples=100)) == len(lone.metrics())


def test_what_the_largest_class_is_worth():
    labels = np.array([1, 1, 1, 0], np.int32)
    given = Evaluation.of(("a", "b"), labels, [np.log(np.full((4, 2), 0.5))])
    assert given.baseline == ("b", 0.75)
    assert always(given) == "always answering 'b', the largest class, would score 75.00 %"
    assert imbalance(("a", "b"), np.array([1, 3])) == "imbalance: 3 images of 'b', 1 of 'a', 3.0 times fewer"
    assert imbalance(("a", "b", "c"), np.array([1, 2, 0])) is None


def test_intervals_hold_the_truth_as_often_as_they_say():
    """Of 100 samples of 200 images from a network that is right in 70 %, about 95 intervals hold 70 %."""
    held = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        labels = np.zeros(200, np.int32)
        right = rng.random(200) < 0.7
        rows = np.log(np.where(right[:, None], [0.9, 0.1], [0.1, 0.9]))
        low, high = Evaluation.of(("a", "b"), labels, [rows]).intervals(resamples=200)["top1"]
        held += low <= 0.7 <= high
    assert 88 <= held <= 99


def test_intervals_of_shares_are_no_points():
    labels = np.arange(32, dtype=np.int32) % 8
    given = Evaluation.of(tuple("abcdefgh"), labels, [np.log(np.eye(8)[labels] * 0.9 + 0.0125)])
    intervals = given.intervals(resamples=100)
    assert intervals["top1"] == intervals["top5"] == pytest.approx((0.8928208, 1.0))
    assert intervals["balanced_accuracy"] == pytest.approx((0.8268, 1.0), abs=1e-4)
    assert [*intervals] == [*given.metrics()]


def test_accuracy_of_classes_and_what_they_are_taken_for():
    labels = np.array([0, 0, 0, 0, 1, 1], np.int32)
    predicted = [0, 0, 0, 1, 1, 1]
    given = Evaluation.of(("a", "b", "c"), labels, [np.log(np.eye(3)[predicted] * 0.9 + 0.02)])
    assert [(row.name, row.images, row.recall, row.mistaken_for) for row in given.class_metrics()] == [
        ("a", 4, 0.75, "b"),
        ("b", 2, 1, None),
    ]
    (mistake,) = given.mistakes()
    assert (mistake.number, mistake.true, mistake.predicted) == (3, "a", "b")
    assert mistake.probability == pytest.approx(0.92, abs=1e-6)


def test_mistakes_come_with_the_highest_loss_first():
    given = evaluation(5)
    losses = [given.losses[mistake.number] for mistake in given.mistakes()]
    assert losses == sorted(losses, reverse=True)
    assert len(losses) == round(40 * (1 - given.top(1)))


def test_what_is_not_a_number_is_never_right():
    labels = np.array([0, 1], np.int32)
    assert Evaluation.of(("a", "b"), labels, [np.full((2, 2), np.nan, np.float32)]).top(1) == 0
    assert Evaluation.of(("a", "b"), labels, [np.log(np.array([[0.9, 0.1], [0.2, 0.8]], np.float32))]).top(1) == 1
