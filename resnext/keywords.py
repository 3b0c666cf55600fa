"""Options as keywords: a function accepts every field of its option dataclass by name, and the dataclass prints so."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from resnext.errors import ArgumentError, did_you_mean

# What other libraries call an option, by its names here, of which each verb has one at most.
CALLED_HERE = {
    "lr": "learning_rate", "lr0": "learning_rate", "batch": "batch_size", "bs": "batch_size", "epoch": "epochs",
    "n_epochs": "epochs", "num_epochs": "epochs", "max_epochs": "epochs", "wd": "weight_decay", "opt": "optimizer",
    "imgsz": "image_size size", "img_size": "image_size size", "img": "image_size size", "size": "image_size",
    "input_size": "image_size size", "resolution": "image_size size", "model": "variant", "arch": "variant",
    "network": "variant", "output": "out", "output_dir": "out", "save_dir": "out", "project": "out", "name": "out",
    "num_workers": "workers", "threads": "workers", "smoothing": "label_smoothing", "random_seed": "seed",
    "random_state": "seed", "augment": "recipe", "top_k": "top", "topk": "top", "k": "top", "conf": "threshold",
    "confidence": "threshold", "precision": "dtype", "scheduler": "schedule", "lr_scheduler": "schedule",
    "sched": "schedule", "mixup_alpha": "mixup", "cutmix_alpha": "cutmix", "model_ema": "ema",
    "warmup": "warmup_epochs", "gradient_accumulation": "accumulate", "accumulation_steps": "accumulate",
    "val_split": "held_out", "validation_split": "held_out", "class_weight": "class_weights", "cv": "folds",
    "resume_from": "resume", "backbone": "variant",
}  # fmt: skip
OF_VERBS = ("variant", "out", "recipe", "workers", "device", "weights")  # keywords that are not fields of options


def as_call(options: Any) -> str:
    """Return a dataclass as the shortest call that makes it: without the fields that have their default.

    >>> from resnext.images.preprocessing import Preprocessing
    >>> as_call(Preprocessing(224, 256))
    'Preprocessing(size=224, resize=256)'
    """
    words = [
        f"{field.name}={value!r}"
        for field in dataclasses.fields(options)
        if (value := getattr(options, field.name)) != field.default
    ]
    return f"{type(options).__name__}({', '.join(words)})"


def with_keywords(verb: str, keywords: Mapping[str, Any], *options: Any) -> tuple[Any, ...]:
    """Return the options with each keyword set as the field of that name.

    Args:
        verb: function that was called, for the message.
        keywords: names and values that were passed to it.
        options: frozen dataclasses that share no field names. A field `name` is not an option.

    Raises:
        ArgumentError: a name that none of them has, or a value that is not allowed.

    >>> from resnext.images.preprocessing import Preprocessing
    >>> with_keywords("f", {"size": 32}, Preprocessing(224, 256))[0].size
    32
    """
    names = [{field.name for field in dataclasses.fields(each) if field.name != "name"} for each in options]
    known = sorted(set().union(*names))
    for word in keywords:
        if word not in known:
            here = [name for name in CALLED_HERE.get(word, "").split() if name in (*known, *OF_VERBS)]
            hint = f" Did you mean {here[0]}?" if here else did_you_mean(word, known)
            raise ArgumentError(f"{verb}() has no option {word!r}.{hint} Its options are {', '.join(known)}.")
    return tuple(
        dataclasses.replace(each, **{word: value for word, value in keywords.items() if word in fields})
        for each, fields in zip(options, names, strict=True)
    )
