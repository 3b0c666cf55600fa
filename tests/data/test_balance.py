"""Classes of unequal size: the weights of their losses, and the order in which each comes equally often."""

import numpy as np
import pytest

from resnext.data.balance import BalancedOrder, class_weights

pytestmark = pytest.mark.once


def test_weights_are_scikit_learns_and_one_in_the_mean():
    balanced = pytest.importorskip("sklearn.utils.class_weight").compute_class_weight
    labels = np.repeat([0, 1, 3], [92, 19, 7])
    weights = class_weights(labels, 4, 1)
    np.testing.assert_allclose(
        weights[[0, 1, 3]], balanced("balanced", classes=np.array([0, 1, 3]), y=labels), rtol=1e-6
    )
    assert weights[2] == 0
    for power in (0, 0.5, 1):
        assert class_weights(labels, 4, power)[labels].mean() == pytest.approx(1)
    half = class_weights(labels, 4, 0.5)
    assert half[3] / half[0] == pytest.approx((92 / 7) ** 0.5)


@pytest.mark.parametrize("counts", [(92, 19, 7), (5, 1), (3, 1, 1, 1), (1, 1, 1)])
def test_every_class_comes_equally_often_and_every_image_of_it(counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    order, images = BalancedOrder(labels, seed=3), len(labels)
    epochs = 4 * max(counts)
    drawn = np.array([order[i] for i in range(images * epochs)])
    by_class = np.bincount(labels[drawn])
    assert by_class.max() - by_class.min() <= 1
    for number in range(len(counts)):
        of_class = drawn[labels[drawn] == number]
        times = np.bincount(of_class, minlength=images)[labels == number]
        assert times.max() - times.min() <= 1
    for epoch in range(3):
        shares = np.bincount(labels[drawn[epoch * images : (epoch + 1) * images]], minlength=len(counts))
        assert shares.max() - shares.min() <= 1


def test_order_depends_on_seed_and_place_alone():
    labels = np.repeat([0, 1], [9, 2])
    forwards = [BalancedOrder(labels, 1)[i] for i in range(44)]
    again = BalancedOrder(labels, 1)
    assert [again[i] for i in reversed(range(44))][::-1] == forwards
    assert [BalancedOrder(labels, 2)[i] for i in range(44)] != forwards
    assert forwards[:11] != forwards[11:22]
