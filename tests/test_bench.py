"""`resnext bench`: what it measures and what it refuses."""

import json

import keras
import pytest

from resnext.engines.open import installed_engines
from support.command import refusal, resnext
from support.photos import COLOURS, write_photos

BACKEND = keras.backend.backend()


def test_convolutions_by_every_route():
    ran = resnext("bench", "conv", "--variant", "resnext11_4x4d", "--batch-size", 1, "--format", "json")
    assert ran.returncode == 0, ran.stderr
    rows = json.loads(ran.stdout)["results"]
    shapes = [(row["side"], row["groups"], row["kernel_size"], row["filters"]) for row in rows]
    assert list(dict.fromkeys(shapes)) == [
        (32, 4, 3, 16), (32, 1, 1, 256), (16, 4, 3, 32), (16, 1, 1, 512), (8, 4, 3, 64), (8, 1, 1, 1024)
    ]  # fmt: skip
    chosen = {(row["kernel_size"], row["route"]) for row in rows if row["chosen"]}
    assert chosen == ({(3, "merged"), (1, "product")} if BACKEND == "jax" else {(3, "direct"), (1, "direct")})
    for row in rows:
        median, lowest, highest = row["milliseconds"]
        assert 0 < lowest <= median <= highest


@pytest.mark.once
def test_the_way_from_files_to_batches(tmp_path):
    photos = write_photos(tmp_path / "photos", COLOURS, 4)
    ran = resnext("bench", "data", photos, "--image-size", 16, "--format", "json",
                  constants={"resnext.bench:SECONDS": 0.2})  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    rates = {row["part"]: row["images_per_second"] for row in json.loads(ran.stdout)["results"]}
    assert list(rates) == [
        "decode",
        "for evaluation: decode, resize, crop",
        "for training: decode, crop, resize",
        "flip",
        "batches",
    ]
    assert all(rate > 0 for rate in rates.values())


@pytest.mark.once
def test_a_trained_network_in_every_engine(trained, colours):
    ran = resnext("bench", "engines", trained[0], colours, "--batch-size", 4, "--format", "json")
    assert ran.returncode == 0, ran.stderr
    rows = json.loads(ran.stdout)["results"]
    names = installed_engines()
    assert [row["engine"] for row in rows] == names + ["openvino-bfloat16"] * ("openvino" in names)
    for row in rows:
        for median, lowest, highest in (row["milliseconds"], row["images_per_second"]):
            assert 0 < lowest <= median <= highest
    assert len({row["top1"] for row in rows}) == 1


def test_what_it_refuses(tmp_path):
    usage = "usage: resnext bench conv | data DATA | engines MODEL [DATA]. Received:"
    assert refusal(resnext("bench", "data")) == f"{usage} data"
    assert refusal(resnext("bench", "engines")) == f"{usage} engines"
    assert refusal(resnext("bench", "conv", tmp_path)) == f"{usage} conv {tmp_path}"
    assert refusal(resnext("bench", "data", "digits")) == "digits has no files to read; pass a folder of images"
    assert refusal(resnext("bench", "conv", "--batch-size", 0)) == "`batch_size` must be at least 1. Received: 0"
    assert "no-such-folder does not exist" in refusal(resnext("bench", "data", "no-such-folder"))
