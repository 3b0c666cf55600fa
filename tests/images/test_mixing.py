"""Mixup and CutMix: images and targets by one share."""

import math

import numpy as np
import pytest

from resnext.images.mixing import cutmix, mixup
from support.draws import drawn, noise

pytestmark = pytest.mark.once


def batch(count, height=16, width=24, classes=4):
    targets = np.random.default_rng(1).random((count, classes), dtype=np.float32)
    return noise(count, height, width, 3), targets / targets.sum(1, keepdims=True)


@pytest.mark.parametrize("mix", [mixup, cutmix])
@pytest.mark.parametrize("count", [1, 2, 7, 8])
def test_mixing_returns_new_arrays_of_the_same_kind_by_the_seed(mix, count):
    images, targets = batch(count)
    before = images.copy(), targets.copy()
    first, again, other = (mix(images, targets, 1.0, np.random.default_rng(seed)) for seed in (3, 3, 4))
    for kept, given, result, second in zip(before, (images, targets), first, again, strict=True):
        np.testing.assert_array_equal(given, kept)
        assert not np.shares_memory(given, result)
        assert (result.shape, result.dtype) == (given.shape, given.dtype)
        np.testing.assert_array_equal(result, second)
    assert count == 1 or (first[1] != other[1]).any()
    np.testing.assert_allclose(first[1].sum(1), 1, rtol=1e-6)
    if count % 2:
        middle = count // 2
        np.testing.assert_array_equal(first[0][middle], images[middle])  # its own partner


def share_of(targets, mixed):
    """The share of the image itself: the targets are mixed with those of the reversed batch."""
    difference = (targets - targets[::-1]).astype(float)
    return np.vdot(difference, mixed - targets[::-1]) / np.vdot(difference, difference)


def test_mixup_blends_images_and_targets_by_one_share():
    images, targets = batch(6)
    for mixed, mixed_targets in drawn(lambda rng: mixup(images, targets, 1.0, rng), 20):
        share = share_of(targets, mixed_targets)
        expected = share * targets + (1 - share) * targets[::-1]
        np.testing.assert_allclose(mixed_targets, expected, atol=1e-6)
        pixels = share * images + (1 - share) * images[::-1].astype(float)
        assert np.abs(mixed - pixels).max() < 0.501


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_shares_have_the_beta_distribution(alpha):
    images, targets = batch(2, 1, 1)
    shares = [share_of(targets, t) for _, t in drawn(lambda rng: mixup(images, targets, alpha, rng), 3000)]
    assert abs(np.mean(shares) - 0.5) < 0.03
    assert abs(np.var(shares) - 1 / 4 / (2 * alpha + 1)) < 0.01


def test_cutmix_pastes_one_rectangle_and_counts_its_pixels():
    images, targets = batch(6)
    images = images // 2 + np.array([0, 128] * 3, np.uint8).reshape(6, 1, 1, 1)  # partners differ in every pixel
    for mixed, mixed_targets in drawn(lambda rng: cutmix(images, targets, 1.0, rng), 100):
        pasted = (mixed != images).any((0, 3))
        np.testing.assert_array_equal(mixed, np.where(pasted[None, :, :, None], images[::-1], images))
        rows, columns = pasted.any(1), pasted.any(0)
        assert (pasted == np.outer(rows, columns)).all()
        assert max(np.count_nonzero(np.diff(line.astype(int), prepend=0)) for line in (rows, columns)) <= 2  # no gap
        assert abs(share_of(targets, mixed_targets) - (1 - pasted.mean())) < 1e-5
        np.testing.assert_allclose(mixed_targets.sum(1), 1, rtol=1e-6)


def test_cutmix_centres_are_everywhere_and_areas_as_drawn():
    images = np.stack([np.zeros((40, 60, 3), np.uint8), np.ones((40, 60, 3), np.uint8)])
    targets = np.eye(2, dtype=np.float32)
    pasted = np.stack([x[0, ..., 0] for x, _ in drawn(lambda rng: cutmix(images, targets, 1.0, rng), 3000)])
    # A pixel is pasted where the centre is near enough: written out, over areas 1 - U(0, 1) and all centres
    expected = np.zeros((40, 60))
    for area in (np.arange(100) + 0.5) / 100:
        near = []
        for length in (40, 60):
            half = int(length * math.sqrt(area)) // 2
            distance = np.arange(length)[:, None] - np.arange(length)
            near.append(((distance >= -half) & (distance < half)).mean(1))
        expected += np.outer(*near) / 100
    assert np.abs(pasted.mean(0) - expected).max() < 0.045  # 5 standard deviations


@pytest.mark.parametrize("mix", [mixup, cutmix])
def test_an_alpha_of_zero_is_refused(mix):
    with pytest.raises(ValueError, match="a <= 0"):
        mix(*batch(2), 0.0, np.random.default_rng(0))
