"""The words of the verbs, written by tests/make_keywords.py."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

from resnext.recipes.recipe import BestBy, Channels, Crop, Fit, Interpolation, Loss, Optimizer, Sampling, Schedule
from resnext.runs.config import Dtype, FormName, LogKind, Shortcut


class TrainingKeywords(TypedDict, total=False):
    """The fields of `Recipe` and `TrainingOptions`."""

    epochs: int | None
    batch_size: int | None
    learning_rate: float | None
    evaluate_every: int | None
    image_size: int | None
    test_size: int | None
    test_crop: float
    fit: Fit
    channels: Channels
    interpolation: Interpolation
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    schedule: Schedule
    final_rate: float
    steps: tuple[tuple[float, float], ...]
    warmup_epochs: int | None
    warmup_start: float
    optimizer: Optimizer
    momentum: float
    nesterov: bool
    weight_decay: float
    decay_all: bool
    accumulate: int
    clip_norm: float | None
    ema: float
    drop_path: float
    zero_gamma: bool
    loss: Loss
    label_smoothing: float
    mixup: float
    cutmix: float
    crop: Crop
    crop_area: tuple[float, float]
    pad: float
    flip: bool
    vertical_flip: bool
    rotate: float
    color_jitter: float
    hue: float
    lighting: float
    greyscale: float
    blur: float
    rand_augment: float
    trivial_augment: bool
    erasing: float
    repeats: int
    focal: float
    class_weights: float
    sampling: Sampling
    freeze: tuple[int, ...]
    layer_decay: float
    best_by: BestBy
    patience: int | None
    weights: str | Path | None
    seed: int
    dtype: Dtype
    form: FormName
    shortcut: Shortcut | None
    remat: bool
    skip_bad: float
    follow_links: bool
    held_out: float | None
    folds: int | None
    fold: int | None
    group_by: str | None
    classes: tuple[str, ...]
    train_share: float | None
    log: tuple[LogKind, ...]
    checkpoint_every: int | None
    keep_every: int | None
