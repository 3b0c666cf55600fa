"""A share of the training images: of each class, nested, the same for a seed."""

import numpy as np
import pytest

from resnext.data.source import open_data
from resnext.data.train_share import with_train_share
from resnext.errors import ArgumentError
from resnext.runs.config import TrainingOptions
from support.photos import make

pytestmark = pytest.mark.once


def test_a_share_of_each_class_is_part_of_a_larger_one(tmp_path):
    files = [
        f"{part}/{name}/{i:02}.png"
        for part, name, n in (("train", "a", 20), ("train", "b", 3), ("test", "a", 2))
        for i in range(n)
    ]
    splits = open_data(make(tmp_path, *files)).splits()
    before: set = set()
    for share, counts in ((0.01, [1, 1]), (0.1, [2, 1]), (0.5, [10, 2]), (1, [20, 3])):
        part = with_train_share(splits, share, seed=4)
        assert np.bincount(part.train.labels).tolist() == counts
        assert before <= {*part.train.images}
        assert list(part.train.images) == sorted(part.train.images)
        assert part.test is part.validation is splits.test
        assert part.notes == (f"training images: {sum(counts)} of 23, by --train-share {share:g}",)
        before = {*part.train.images}
    assert with_train_share(splits, None, 4) is splits
    assert with_train_share(splits, 0.5, 5).train.images != with_train_share(splits, 0.5, 4).train.images
    for wrong in (0, -1, 1.5):
        with pytest.raises(ArgumentError, match=r"`train_share` must be above 0, at most 1. Received"):
            TrainingOptions(train_share=wrong)
