"""The names of the parts of a data set: of folders, and of the splits in a table."""

PARTS = {"train": "train", "test": "test"} | dict.fromkeys(("val", "valid", "validation"), "validation")
# Other names of parts. A folder that has images of its own may be a class of this name, and is none of them.
ALSO_PARTS = {
    name: part
    for part, names in (
        ("train", ("training", "training_set", "train_set", "trainset")),
        ("test", ("testing", "test_set", "testing_set", "testset")),
        ("validation", ("dev", "eval", "evaluation", "val_set", "validation_set", "valset")),
    )
    for name in names
}


def part_named(name: str) -> str | None:
    """Return the part that a name stands for, if it does: "train", "validation" or "test"."""
    plain = name.lower().replace("-", "_").replace(" ", "_")
    return PARTS.get(plain) or ALSO_PARTS.get(plain)
