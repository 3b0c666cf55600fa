"""Mixup and CutMix: blending of the images and targets of a batch."""

from __future__ import annotations

import numpy as np


def mixup(
    images: np.ndarray, targets: np.ndarray, alpha: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Blend each image and target with another of the batch (Zhang et al. 2017, https://arxiv.org/abs/1710.09412).

    One share, drawn from Beta(alpha, alpha), applies to the complete batch. As in timm, the batch is paired with its
    reverse: its order is random already, and no image is its own partner except the middle one of an odd number.

    Args:
        images: uint8 (N, H, W, channels).
        targets: float32 (N, K), each a distribution over the classes.
        alpha: parameter of the beta distribution, above 0; the paper uses 0.1 to 0.4 for ImageNet.
        rng: generator that draws the share.

    Returns:
        The images, uint8 (N, H, W, channels), rounded, and the targets, float32 (N, K).

    >>> images = np.stack([np.full((1, 1, 3), level, np.uint8) for level in (0, 100)])
    >>> images, targets = mixup(images, np.eye(2, dtype="float32"), 1, np.random.default_rng(3))
    >>> images[:, 0, 0, 0].tolist(), targets.astype(float).round(2).tolist()
    ([73, 27], [[0.27, 0.73], [0.73, 0.27]])
    """
    share = np.float32(rng.beta(alpha, alpha))
    mixed = np.empty_like(images)
    for result, image, partner in zip(mixed, images, images[::-1], strict=True):
        np.rint(_blend(image, partner, share), out=result, casting="unsafe")
    return mixed, _blend(targets, targets[::-1], share)


def cutmix(
    images: np.ndarray, targets: np.ndarray, alpha: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Paste a rectangle of another image of the batch into each (Yun et al. 2019, https://arxiv.org/abs/1905.04899).

    One rectangle applies to the complete batch. It has the aspect ratio of the image, and its share of the area, before
    it is clipped to the image, is drawn from Beta(alpha, alpha). Targets are blended by the area that was pasted.
    Images are paired as in `mixup`.

    Args:
        images: uint8 (N, H, W, channels).
        targets: float32 (N, K), each a distribution over the classes.
        alpha: parameter of the beta distribution, above 0; the paper uses 1.
        rng: generator that draws the area and the centre.

    Returns:
        The images, uint8 (N, H, W, channels), and the targets, float32 (N, K).

    >>> images = np.stack([np.full((8, 8, 3), level, np.uint8) for level in (0, 1)])
    >>> images, targets = cutmix(images, np.eye(2, dtype="float32"), 1, np.random.default_rng(0))
    >>> images[..., 0].mean((1, 2)).tolist(), targets.tolist()
    ([0.125, 0.875], [[0.875, 0.125], [0.125, 0.875]])
    """
    height, width = images.shape[1:3]
    side = np.sqrt(1 - rng.beta(alpha, alpha))
    rows, columns = (_clipped_range(length, int(length * side), rng) for length in (height, width))
    mixed = images.copy()
    mixed[:, rows, columns] = images[::-1, rows, columns]
    pasted = (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width)
    return mixed, _blend(targets, targets[::-1], np.float32(1 - pasted))


def _blend(first: np.ndarray, second: np.ndarray, share: np.float32) -> np.ndarray:
    return share * first + (1 - share) * second


def _clipped_range(length: int, part: int, rng: np.random.Generator) -> slice:
    centre = int(rng.integers(length))
    return slice(max(0, centre - part // 2), min(length, centre + part // 2))
