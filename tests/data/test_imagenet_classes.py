"""`decode_predictions`: the names of ImageNet's classes."""

import keras
import numpy as np
import pytest

from resnext import decode_predictions


def test_decode_predictions_names_classes():
    probabilities = np.zeros((2, 1000), np.float32)
    probabilities[0, [3, 999]] = 0.7, 0.3
    probabilities[1, 1] = 1
    (first, second), (third, _) = decode_predictions(keras.ops.convert_to_tensor(probabilities), top=2)
    assert (first.wordnet_id, first.name, round(first.probability, 3)) == ("n01491361", "tiger shark", 0.7)
    assert (second.name, third.name) == ("toilet tissue", "goldfish")
    for arguments, words in [
        (
            {"preds": np.zeros((1, 10))},
            r"`preds` must be \(batch, 1000\), ImageNet-1K's classes. Received: shape \(1, 10\)",
        ),
        ({"preds": probabilities, "top": 0}, "`top` must be from 1 to 1000. Received: 0"),
        (
            {"preds": probabilities, "weights": "resnet50.typo"},
            "must be a tag that .* shows. Received: 'resnet50.typo'",
        ),
        (
            {"preds": probabilities, "weights": "hf:timm/seresnextaa101d_32x8d.sw_in12k"},
            "knows 11,821 classes of ImageNet-12K",
        ),
    ]:
        with pytest.raises(ValueError, match=words):
            decode_predictions(**arguments)
