"""The options of evaluate and predict, and the preprocessing that follows from them."""

import pytest

from resnext.errors import ArgumentError
from resnext.images.preprocessing import Preprocessing
from resnext.inference.options import at_size
from support.command import refusal, resnext

pytestmark = pytest.mark.once


def test_size_and_crop_change_the_preprocessing():
    own = Preprocessing(224, 256, "bicubic")
    assert at_size(own, None, None, None) == own
    assert at_size(own, 320, 1.0, None) == Preprocessing(320, 320, "bicubic")
    assert at_size(own, 288, None, "bilinear") == Preprocessing(288, 329, "bilinear")
    assert at_size(own, None, 0.95, None).resize == 236
    with pytest.raises(ArgumentError, match=r"`crop` must be above 0 and at most 1. Received: 1.5"):
        at_size(own, None, 1.5, None)


def test_wrong_options_of_evaluate_and_predict_are_refused(trained, colours):
    folder, _ = trained
    words = "`batch_size` must be at least 1. Received: 0"
    assert refusal(resnext("evaluate", folder, colours, "--batch-size", 0)) == words
    assert refusal(resnext("predict", folder, colours, "--top", 0)) == "`top` must be at least 1. Received: 0"
