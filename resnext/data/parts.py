"""The names of the parts of a data set: of folders, and of the splits in a table."""

import re

PARTS = {"train": "train", "test": "test"} | dict.fromkeys(("val", "valid", "validation"), "validation")
# Other names of parts. A folder that has images of its own may be a class of this name, and is none of them.
ALSO_PARTS = {
    name: part
    for part, names in (
        ("train", ("training", "training_set", "train_set", "trainset")),
        ("test", ("testing", "test_set", "testing_set", "testset", "privatetest", "holdout", "hold_out", "held_out")),
        ("validation", ("dev", "eval", "evaluation", "val_set", "validation_set", "valset", "publictest")),
    )
    for name in names
}


def part_named(name: str) -> str | None:
    """Return the part that a name stands for, if it does: "train", "validation" or "test"."""
    plain = name.strip().lower().replace("-", "_").replace(" ", "_")
    return PARTS.get(plain) or ALSO_PARTS.get(plain)


def part_of(name: str) -> str | None:
    """Return the part that a name stands for or, without one, that a word in it does."""
    return part_named(name) or part_within(name)


def part_within(name: str) -> str | None:
    """Return the part that one word in a name stands for; None if there is none, or several.

    >>> part_within("seg_train"), part_within("test images"), part_within("train-test")
    ('train', 'test', None)
    """
    parts = {part_named(word) for word in re.split(r"[^a-z]+", name.lower())} - {None}
    return parts.pop() if len(parts) == 1 else None
