"""What a training is given that its caller leaves open: recipe, network, size, weights, folder, device."""

import dataclasses
import os
import re
from pathlib import Path

import keras
import pytest

from resnext import save_weights, train
from resnext.backend import choose_device, describe_device
from resnext.data.examples import median_aspect, median_side, sample_sizes
from resnext.data.source import open_data
from resnext.errors import ArgumentError, DataError, WeightsError
from resnext.images.preprocessing import Preprocessing
from resnext.model.classifier import image_network
from resnext.model.network import ResNeXt
from resnext.recipes.complete import CompleteRecipe, complete
from resnext.recipes.names import default_recipe, get_recipe
from resnext.runs.run import Run
from resnext.training import defaults
from resnext.variants.choose import choose_network
from resnext.variants.names import get_variant
from support.command import resnext
from support.photos import COLOURS, write_photos

PHOTOS = get_recipe("photos")


@pytest.mark.once
@pytest.mark.parametrize(
    ("images", "evaluated", "batch", "rate", "epochs", "warmup", "every"),
    [
        (20, 4, 8, 0.0125, 500, 50, 25),
        (102, 20, 8, 0.0125, 84, 9, 4),
        (200, 340, 16, 0.025, 84, 9, 4),
        (200, 2_000, 16, 0.025, 84, 9, 10),
        (1_722, 340, 32, 0.05, 20, 2, 1),
        (50_000, 10_000, 128, 0.1, 20, 2, 1),
        (200_000, 10_000, 128, 0.1, 20, 2, 1),
    ],
)
def test_the_default_recipe_follows_the_number_of_images(images, evaluated, batch, rate, epochs, warmup, every):
    found = complete(PHOTOS, images=images, evaluated=evaluated, image_size=64)
    assert (found.batch_size, found.learning_rate, found.epochs) == (batch, rate, epochs)
    assert (found.warmup_epochs, found.evaluate_every, found.image_size, found.flip) == (warmup, every, 64, False)


@pytest.mark.once
@pytest.mark.parametrize(
    ("recipe", "network"), [("taki0112-cifar10", "resnext29_taki"), ("seed-cifar10", "resnext50_wenga")]
)
def test_a_recipe_of_one_network_trains_that(tmp_path, monkeypatch, caplog, recipe, network):
    write_photos(tmp_path / "photos", COLOURS, 6)
    monkeypatch.setattr("resnext.training.session.train_session", lambda folder, config, *rest: config)
    with caplog.at_level("INFO"):
        config = train(tmp_path / "photos", out=tmp_path / "a", recipe=recipe)
    assert f"chosen: {network}, of the recipe {recipe}" in caplog.messages
    assert (config.variant.name, config.image_size) == (network, 32)
    other = train(tmp_path / "photos", "resnext11_4x4d", out=tmp_path / "b", recipe=recipe)
    assert other.variant.name == "resnext11_4x4d"
    with pytest.raises(ArgumentError, match="`test_size` must be `image_size` for resnext50_wenga"):
        train(tmp_path / "photos", "resnext50_wenga", out=tmp_path / "c", recipe=recipe, image_size=64, test_size=96)


@pytest.mark.once
def test_what_is_given_stays():
    given = dataclasses.replace(PHOTOS, epochs=3, learning_rate=0.7, image_size=96)
    found = complete(given, images=200, evaluated=0, image_size=64)
    assert (found.epochs, found.learning_rate, found.image_size, found.warmup_epochs) == (3, 0.7, 96, 1)
    assert complete(dataclasses.replace(PHOTOS, accumulate=3), images=200, evaluated=1, image_size=8).batch_size == 15
    adam = complete(dataclasses.replace(PHOTOS, optimizer="adamw"), images=200, evaluated=1, image_size=8)
    assert adam.learning_rate == 5e-4
    paper = get_recipe("paper-cifar")
    assert dataclasses.asdict(complete(paper, images=9, evaluated=9, image_size=32)) == dataclasses.asdict(paper) | {
        "image_size": 32
    }
    tuned = complete(get_recipe("finetune"), images=200, evaluated=9, image_size=224, pretrained=True)
    assert (tuned.batch_size, tuned.learning_rate, tuned.epochs) == (16, 0.01, 25)
    with pytest.raises(ArgumentError, match=r"`epochs` must be a number\. Received: None"):
        CompleteRecipe.from_json(dataclasses.asdict(PHOTOS) | {"image_size": 8})


@pytest.mark.once
@pytest.mark.parametrize(
    ("images", "side", "given", "variant", "size"),
    [
        (200, 3_000, None, "resnext14_8x4d", 64),
        (200, 8, None, "resnext14_8x4d", 64),
        (5_000, 3_000, None, "resnext14_8x4d", 128),
        (5_000, 100, None, "resnext14_8x4d", 96),
        (50_000, 32, None, "resnext14_8x4d", 64),
        (50_000, 400, None, "resnext50_32x4d", 224),
        (50_000, 400, 96, "resnext14_8x4d", 96),
        (200, 400, 224, "resnext14_8x4d", 224),
    ],
)
def test_the_default_network_follows_the_images(images, side, given, variant, size):
    choice = choose_network(images, side, given)
    many = {200: "fewer than 2,000", 5_000: "fewer than 10,000", 50_000: "10,000 or more"}[images]
    assert (choice.variant.name, choice.image_size) == (variant, size)
    assert choice.reason == (
        f"chosen: {variant} at {size} pixels, for {many} training images of {side} pixels (median shorter side)",
    )


@pytest.mark.once
def test_sizes_are_those_of_upright_images(tmp_path):
    from PIL import Image

    for name in "ab":
        (tmp_path / name).mkdir()
        Image.new("RGB", (60, 40)).save(tmp_path / name / "0.jpg")
        turned = Image.Exif()
        turned[0x0112] = 6
        Image.new("RGB", (60, 40)).save(tmp_path / name / "1.jpg", exif=turned)
        (tmp_path / name / "2.jpg").write_bytes(b"no image")
    train = open_data(tmp_path).splits().train
    assert set(sample_sizes(train)) <= {(60, 40), (40, 60)}
    assert median_side(sample_sizes(train)) == 40
    assert median_aspect(sample_sizes(train)) == 1.5


def test_the_shortest_command_is_a_whole_one(tmp_path, monkeypatch):
    photos = write_photos(tmp_path / "my photos.v2", COLOURS, 12)
    monkeypatch.chdir(tmp_path)
    process = resnext("train", photos, "--epochs", 1)
    assert process.returncode == 0, process.stderr
    lines = process.stderr.splitlines()
    backend = keras.backend.backend()
    assert lines[0] == (
        "chosen: resnext14_8x4d at 64 pixels, for fewer than 2,000 training images of 24 pixels (median shorter side)"
    )
    assert lines[1:3] == [f"labels: the folders in {photos}", "classes: blue, green, red"]
    assert lines[4] == "resnext: few images: 6 to evaluate on, so one of them is 16.7 points of accuracy"
    assert re.fullmatch(rf"device: {backend} on the CPU, \d+ cores, [\d.]+ GB", lines[5])
    assert lines[6] == "data: 30 images of 3 classes to train on, 6 to evaluate on"
    assert lines[7] == "network: resnext14_8x4d at 64 pixels, 3,942,211 parameters, float32"
    assert lines[8].startswith("recipe photos: epochs 1, batch_size 8, learning_rate 0.0125, ")
    assert lines[9] == (
        "steps: 3 of 8 images each, 3 in each epoch; each epoch leaves out 6 images, different ones each time"
    )
    run = Run.open("runs/my photos.v2-resnext14_8x4d-1")
    assert (run.config.recipe.batch_size, run.config.recipe.learning_rate) == (8, 0.0125)
    assert defaults.default_folder(open_data(photos), "resnext14_8x4d") == Path("runs/my photos.v2-resnext14_8x4d-2")


@pytest.mark.once
def test_without_the_weights_of_auto_the_recipe_is_that_for_none(tmp_path, monkeypatch):
    def offline(tag, variant):
        raise WeightsError("no network")

    write_photos(tmp_path / "photos", COLOURS, 6)
    monkeypatch.setattr(defaults, "find_file", offline)
    monkeypatch.setattr("resnext.training.session.train_session", lambda folder, config, *rest: config)
    config = train(tmp_path / "photos", out=tmp_path / "a", weights="auto", epochs=7)
    assert (config.recipe.name, config.recipe.epochs, config.options.weights) == ("photos", 7, None)
    assert config.recipe.weight_decay == PHOTOS.weight_decay


@pytest.mark.once
def test_weights_auto_are_the_smallest_published_or_none(monkeypatch):
    monkeypatch.setattr(defaults, "find_file", lambda tag, variant: None)
    assert defaults.choose_weights("auto", None) == (
        "seresnext26t_32x4d.bt_in1k", ["--weights auto: seresnext26t_32x4d.bt_in1k"]
    )  # fmt: skip
    assert defaults.choose_weights("auto", get_variant("resnet50"))[0] == "resnet50.tv2_in1k"
    assert defaults.choose_weights("auto", get_variant("resnext14_8x4d"))[0] is None

    def offline(tag, variant):
        raise WeightsError("no network")

    monkeypatch.setattr(defaults, "find_file", offline)
    assert defaults.choose_weights("auto", None) == (
        None, ["--weights auto: training from random weights instead: no network"]
    )  # fmt: skip


@pytest.mark.once
def test_weights_bring_their_network_their_size_and_the_recipe_for_them(tmp_path):
    network = image_network(get_variant("seresnext14_2x4d"), 3, Preprocessing(size=40, resize=40))
    save_weights(network, tmp_path / "start.safetensors")
    choice = defaults.network_of_weights(str(tmp_path / "start.safetensors"), None, None)
    assert (choice.variant.name, choice.image_size) == ("seresnext14_2x4d", 40)
    save_weights(ResNeXt("resnext14_2x4d", weights=None), tmp_path / "bare.safetensors")
    assert defaults.network_of_weights(str(tmp_path / "bare.safetensors"), None, None).image_size == 224
    assert defaults.network_of_weights(str(tmp_path / "bare.safetensors"), None, 64).image_size == 64
    assert default_recipe(tmp_path).name == "finetune"


@pytest.mark.once
def test_the_device_is_chosen(monkeypatch):
    for device in ("tpu", "gpu:", "gpu:x", ""):
        with pytest.raises(ArgumentError, match=r"`device` must be cpu, gpu, or gpu:N for one of several\. Received: "):
            choose_device(device)
    monkeypatch.setattr("os.environ", {"KERAS_BACKEND": "tensorflow"})
    with pytest.raises(ArgumentError, match=r"`device` gpu:1: tensorflow finds no such GPU\. Allowed here: cpu"):
        choose_device("gpu:1")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "1"
    choose_device("cpu")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "-1"
    monkeypatch.setattr("resnext.backend.NVIDIA_DRIVER", Path(__file__))
    assert describe_device().endswith("; this machine has an NVIDIA GPU, which tensorflow does not use")


@pytest.mark.once
def test_an_imbalance_is_named_and_a_metric_that_does_not_exist_is_refused(tmp_path, monkeypatch, caplog):
    for name, count in (("cat", 40), ("dog", 8)):
        write_photos(tmp_path / "photos", {name: COLOURS["red"]}, count)
    monkeypatch.setattr("resnext.training.session.train_session", lambda folder, config, *rest: config)
    line = (
        "imbalance: 34 images of 'cat', 7 of 'dog', 4.9 times fewer, to train on; --class-weights 1 weighs them equally"
    )
    with caplog.at_level("INFO"):
        train(tmp_path / "photos", out=tmp_path / "a")
        assert any(message.startswith(line) for message in caplog.messages)
        largest = "always answering 'cat', the largest class, would be right for 85.71 % of the images to evaluate on"
        assert largest in caplog.messages
        caplog.clear()
        assert train(tmp_path / "photos", out=tmp_path / "b", class_weights=1.0, best_by="auc").recipe.best_by == "auc"
        assert not any(message.startswith("imbalance") for message in caplog.messages)
    write_photos(tmp_path / "photos", {"owl": COLOURS["blue"]}, 8)
    with pytest.raises(
        DataError, match=r"--best-by auc needs two classes .*; here are 3 classes, 3 of them with images"
    ):
        train(tmp_path / "photos", out=tmp_path / "c", best_by="auc")


@pytest.mark.once
def test_a_published_rate_follows_the_batch_size_unless_it_is_passed(tmp_path, monkeypatch, main):
    photos = write_photos(tmp_path / "photos", COLOURS, 6)
    monkeypatch.setattr("resnext.training.session.train_session", lambda folder, config, *rest: config)
    sizes = {"batch_size": 512, "image_size": 32}
    assert train(photos, "resnet8", tmp_path / "a", recipe="rsb-a3", **sizes).recipe.learning_rate == 0.004
    assert train(photos, "resnet8", tmp_path / "b", recipe="torchvision-v2", **sizes).recipe.learning_rate == 0.25
    given = train(photos, "resnet8", tmp_path / "c", recipe="rsb-a3", learning_rate=0.008, **sizes)
    assert given.recipe.learning_rate == 0.008
    whole = dataclasses.replace(get_recipe("rsb-a3"), batch_size=512)
    assert train(photos, "resnet8", tmp_path / "d", recipe=whole, image_size=32).recipe.learning_rate == 0.008
    assert train(photos, "resnet8", tmp_path / "e", **sizes).recipe.learning_rate == 0.1  # the default's own rule
    rates = []
    monkeypatch.setattr(
        "resnext.cli.training._print_result", lambda config, format: rates.append(config.recipe.learning_rate)
    )
    for number, rate in enumerate(([], ["--learning-rate", "0.008"])):
        out = ["--out", str(tmp_path / f"cli {number}")]
        words = ["train", str(photos), "--variant", "resnet8", "--recipe", "rsb-a3", "--batch-size", "512", *rate, *out]
        monkeypatch.setattr("sys.argv", ["resnext", *words])
        main()
    assert rates == [0.004, 0.008]
