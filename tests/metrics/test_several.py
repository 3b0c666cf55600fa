"""Metrics of images with several labels, against scikit-learn's."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, log_loss, precision_score, recall_score

from resnext.metrics.probabilities import logits_of, sigmoid
from resnext.metrics.several import LabelsEvaluation

CLASSES = ("cat", "dog", "owl", "yak")


def case(images=60, seed=0):
    """Labels, and logits with ties; no image has a yak."""
    rng = np.random.default_rng(seed)
    shares = (rng.random((images, 4)) < (0.5, 0.3, 0.1, 0)).astype(np.float32)
    logits = np.round(rng.normal(size=(images, 4)) + 1.5 * shares - 0.5, 1).astype(np.float32)
    return shares, logits


def test_metrics_are_those_of_scikit_learn():
    shares, logits = case()
    thresholds = [0.3, 0.5, 0.6, 0.99]
    given = LabelsEvaluation.of(CLASSES, shares, [logits[:7], logits[7:]], thresholds)
    probabilities, metrics = sigmoid(logits), given.metrics()
    chosen = probabilities >= thresholds
    assert not chosen[:, 3].any()  # a class without images and predictions is left out of the means
    known = {"average": "macro", "zero_division": 0}
    for name, wanted in {
        "map": average_precision_score(shares[:, :3], probabilities[:, :3], average="macro"),
        "micro_f1": f1_score(shares, chosen, average="micro"),
        "macro_f1": f1_score(shares[:, :3], chosen[:, :3], **known),
        "macro_precision": precision_score(shares[:, :3], chosen[:, :3], **known),
        "macro_recall": recall_score(shares[:, :3], chosen[:, :3], **known),
        "exact_match": (chosen == shares).all(axis=1).mean(),
        "log_loss": np.mean([log_loss(shares[:, i], probabilities[:, i], labels=[0, 1]) for i in range(4)]),
    }.items():
        assert metrics[name] == pytest.approx(wanted, abs=1e-6), name
    assert given.loss == metrics["log_loss"]
    assert given.baseline == pytest.approx(shares[:, :3].mean())
    assert given.accuracy == pytest.approx(((probabilities > 0.5) == shares).mean())
    assert given.headline == f"mAP {100 * metrics['map']:.2f} %"
    rows = given.class_metrics()
    assert [row.name for row in rows] == ["cat", "dog", "owl"]
    assert rows[1].average_precision == pytest.approx(average_precision_score(shares[:, 1], probabilities[:, 1]))
    assert [row.threshold for row in rows] == thresholds[:3]


def test_thresholds_are_those_of_the_highest_f1():
    shares, logits = case(seed=1)
    given = LabelsEvaluation.of(CLASSES, shares, [logits])
    fitted = given.best_thresholds()
    assert fitted[3] == 0.5  # no images
    probabilities = sigmoid(logits)
    for i in range(3):
        best = max(f1_score(shares[:, i], probabilities[:, i] >= t) for t in np.linspace(0, 1, 2001))
        assert f1_score(shares[:, i], probabilities[:, i] >= fitted[i]) == pytest.approx(best)


def test_intervals_hold_the_metrics_and_copies_count_as_weights():
    shares, logits = case(seed=2)
    given = LabelsEvaluation.of(CLASSES, shares, [logits])
    for name, (low, high) in given.intervals(200).items():
        assert low <= given.metrics()[name] <= high, name
        assert name == "exact_match" or low < high
    twice = LabelsEvaluation.of(CLASSES, np.vstack([shares, shares[:20]]), [logits, logits[:20]])
    weights = np.r_[np.full(20, 2.0), np.ones(40)]
    assert given._metrics(weights) == pytest.approx(twice.metrics())


def test_the_temperature_undoes_a_scale_and_the_worst_mistakes_come_first():
    rng = np.random.default_rng(3)
    logits = rng.normal(size=(4000, 2)).astype(np.float32)
    shares = (rng.random((4000, 2)) < sigmoid(logits)).astype(np.float32)
    assert LabelsEvaluation.of(("a", "b"), shares, [2 * logits]).temperature == pytest.approx(2, rel=0.1)
    logits = np.array([[9, -9], [9, 9], [-1, -1], [5, -5]], np.float32)
    shares = np.array([[1, 0], [1, 0], [1, 0], [0, 0]], np.float32)
    mistakes = LabelsEvaluation.of(("a", "b"), shares, [logits]).mistakes()
    assert [(each.number, each.true, each.predicted) for each in mistakes] == [
        (1, "a", "a; b"), (3, "none", "a"), (2, "a", "none"),
    ]  # fmt: skip
    assert mistakes[0].probability == pytest.approx(sigmoid(9.0))
    assert mistakes[2].probability == pytest.approx(sigmoid(-1.0))


@pytest.mark.parametrize("several", [True, False])
def test_logits_are_found_again_from_probabilities(several):
    logits = np.array([[-30.0, 2.0, 0.5], [3.0, -1.0, 12.0]], np.float32)
    shares = sigmoid(logits) if several else np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    again = logits_of(shares, several)
    moved = again if several else again - again[:, :1] + logits[:, :1]
    np.testing.assert_allclose(moved, logits, atol=0.02)
    assert np.isfinite(logits_of(np.array([0.0, 1.0], np.float32), several)).all()
