"""The average of runs: the mean of their weights, and statistics of its own."""

import numpy as np
import pytest
from safetensors.numpy import load_file

from resnext import evaluate, train
from resnext.errors import ArgumentError
from resnext.training.average import average_weights
from support.command import refusal, resnext
from support.photos import COLOURS, write_photos

pytestmark = pytest.mark.once
SHORT = {"image_size": 24, "epochs": 3, "batch_size": 8, "learning_rate": 0.01, "keep_every": 1}


def test_an_average_is_the_mean_with_statistics_of_its_own(tmp_path):
    photos = write_photos(tmp_path / "photos" / "train", COLOURS, 11).parent
    write_photos(photos / "test", COLOURS, 4)
    run = train(photos, "resnet8", tmp_path / "run", **SHORT).folder
    parts = [run / "epoch-0002.safetensors", run / "epoch-0003.safetensors"]
    process = resnext("convert", *parts, "--out", tmp_path / "soup.safetensors")
    assert process.stdout == f"the average of 2 runs of resnet8: {tmp_path / 'soup.safetensors'}\n"
    soup, first, second = map(load_file, (tmp_path / "soup.safetensors", *parts))
    assert soup.keys() == first.keys()
    for name, value in soup.items():
        same = np.allclose(value, (first[name] + second[name]) / 2, atol=1e-6)
        assert same != ("moving" in name), name
    # Of two neighbouring epochs, it is about as good as they are, which it would not be with wrong statistics.
    loss = evaluate(tmp_path / "soup.safetensors", photos).loss
    assert loss < 2 * max(evaluate(run, photos, weights=f"epoch-000{i}").loss for i in (2, 3)) + 0.5
    assert evaluate(tmp_path / "soup.safetensors", photos).classes == ("blue", "green", "red")
    with pytest.raises(ArgumentError, match=r"soup.safetensors: exists already. Choose another --out, or remove it.$"):
        average_weights(parts, tmp_path / "soup.safetensors")
    with pytest.raises(
        ArgumentError, match=r"soup.safetensors: neither a run folder nor weights in one. An average needs"
    ):
        average_weights([run, tmp_path / "soup.safetensors"], tmp_path / "x.safetensors")
    with pytest.raises(ArgumentError, match=r"^an average needs two runs or more. Received: 1$"):
        average_weights([run], tmp_path / "x.safetensors")
    other = train(photos, "resnet8", tmp_path / "other", classes=("red", "blue"), **SHORT | {"epochs": 1}).folder
    with pytest.raises(ArgumentError, match=r"other: resnet8 for red, blue, but .*run is resnet8 for blue, green, red"):
        average_weights([run, other], tmp_path / "x.safetensors")
    assert "Average first, then convert the result." in refusal(
        resnext("convert", run, run, "--out", tmp_path / "x.safetensors", "--to", "timm")
    )
    assert "--data is for averaging several runs" in refusal(
        resnext("convert", run, "--out", tmp_path / "x.safetensors", "--data", photos)
    )
